"""How far blocks lie from what a regression says of them, pixel by pixel.

Given features, what the regression leaves is taken to be Laplace distributed
with the scale b, which is its mean absolute value. The network says b, and its
loss is the negative log-likelihood,

  log b + |rest| / b,

which counts relative errors of b alike, where b is small as where it is large.
Blocks are in units of the contrast of what the features are of, so b is held
below half of it: of a source like no other, the network would say anything.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from internal_diffusion.training.regression import RegressionMLP

Array = jax.Array

# Of b; the lower one, so that nothing is divided by nothing.
_SMALLEST, _LARGEST = 0.01, 0.5
_FIRST = -2.0  # Before the sigmoid: b is 0.07 before training.


class DeviationMLP(RegressionMLP):
  """A residual MLP from features [..., F] to deviations [..., D], up to 0.5."""

  def __call__(self, features: Array) -> Array:
    """Features to deviations."""
    said = super().__call__(features)
    return _SMALLEST + (_LARGEST - _SMALLEST) * nn.sigmoid(_FIRST + said)


def laplace_loss(deviation: Array, rest: Array) -> Array:
  """The negative log-likelihood of [B, D], without its constant, [B]."""
  return jnp.mean(jnp.log(deviation) + jnp.abs(rest) / deviation, axis=-1)
