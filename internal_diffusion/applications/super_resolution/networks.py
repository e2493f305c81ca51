"""Regression networks from the features of a source to a block.

The scale b of a residual is bounded by half, in units of the contrast of its
source: far from all training sources a prediction could be anything.
"""

import functools

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp

from internal_diffusion.denoisers.dense import Dense
from internal_diffusion.types import Params, static

Array = jax.Array

# Bounds of b; the lower one keeps residuals in units of b finite.
_SMALLEST, _LARGEST = 0.01, 0.5
_INITIAL_LOGIT = -2.0  # b is 0.07 before training.


class RegressionMLP(nn.Module):
  """A residual MLP from features [..., F] to blocks [..., output_dim]."""

  output_dim: int
  width: int
  depth: int

  @nn.compact
  def __call__(self, features: Array) -> Array:
    """Features to blocks; 0 before training."""
    hidden = Dense(self.width, kernel_init=nn.initializers.he_normal())(
      features
    )
    for _ in range(self.depth):
      update = nn.gelu(Dense(self.width)(nn.gelu(hidden)))
      hidden += Dense(
        self.width,
        # Small, so that a deep network starts near the identity.
        kernel_init=nn.initializers.variance_scaling(0.2, 'fan_in', 'normal'),
      )(update)
    return Dense(self.output_dim, kernel_init=nn.initializers.zeros)(
      nn.gelu(hidden)
    )


class ScaleMLP(RegressionMLP):
  """A residual MLP from features [..., F] to scales [..., D] up to 0.5."""

  def __call__(self, features: Array) -> Array:
    """Features to scales, above 0."""
    logit = _INITIAL_LOGIT + super().__call__(features)
    return _SMALLEST + (_LARGEST - _SMALLEST) * nn.sigmoid(logit)


@flax.struct.dataclass
class Regression:
  """A regression model, a function of features."""

  params: Params
  network: RegressionMLP = static()

  def __call__(self, features: Array) -> Array:
    """Prediction [..., D] given features [..., F]."""
    # Flax types `apply` for modules that return mutable state too.
    return self.network.apply(self.params, features)  # type: ignore[return-value]


@functools.partial(jax.jit, static_argnames=('network', 'num_features'))
def init_regression(
  key: Array, network: RegressionMLP, *, num_features: int
) -> Regression:
  """The model of a network before training."""
  params = network.init(key, jnp.zeros((1, num_features)))
  return Regression(params, network)
