"""Losses and data of the networks of super-resolution.

The mean minimises the absolute error of normalised targets. Its minimum is the
median, which for the residual of bicubic upscaling lies near the mean, and
which outliers influence less than they influence a squared error's minimum.

The residual of the mean is taken to be Laplace distributed. The scale network
predicts its scale b, the mean absolute residual, by the negative log-likelihood

  log b + |residual| / b,

which weights relative errors of b alike, where b is small as where it is large.
The residual in units of b is learnt by a denoiser.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp

from internal_diffusion.applications.super_resolution import networks, pairs
from internal_diffusion.data.distributions import Layout, Part
from internal_diffusion.training.examples import Examples
from internal_diffusion.training.state import TrainState
from internal_diffusion.types import Condition

Array = jax.Array


class ResidualData(NamedTuple):
  """Pairs, and the trained models that residuals are made with.

  The scale is None in its own training.
  """

  pairs: pairs.UpscalingPairs
  mean: networks.Regression
  scale: networks.Regression | None = None


@dataclasses.dataclass(frozen=True)
class AbsoluteError:
  """Mean absolute error of a regression on the pairs of a batch."""

  batch_size: int

  def __call__(
    self,
    key: Array,
    state: TrainState,
    data: pairs.UpscalingPairs,
    progress: Array,
    index: Array,
  ) -> Array:
    """Losses of the pairs `index` [b] of a batch, [b]; see `step.Loss`."""
    del progress
    features, target = pairs.sample_pairs(key, data, num=self.batch_size)
    error = state.model(features[index]) - target[index]
    return jnp.mean(jnp.abs(error), axis=-1)


@dataclasses.dataclass(frozen=True)
class LaplaceLoss:
  """Negative log-likelihood of the mean's residuals, up to its constant."""

  batch_size: int

  def __call__(
    self,
    key: Array,
    state: TrainState,
    data: ResidualData,
    progress: Array,
    index: Array,
  ) -> Array:
    """Losses of the pairs `index` [b] of a batch, [b]; see `step.Loss`."""
    del progress
    features, target = pairs.sample_pairs(key, data.pairs, num=self.batch_size)
    features = features[index]
    residual = target[index] - data.mean(features)
    scale = state.model(features)
    return jnp.mean(jnp.log(scale) + jnp.abs(residual) / scale, axis=-1)


@dataclasses.dataclass(frozen=True)
class ResidualDraw:
  """Draws residuals of the mean in units of their scale; see `Draw`."""

  def __call__(
    self, key: Array, data: ResidualData, num: int
  ) -> tuple[Array, Condition]:
    """Draws `num` residuals and the features of their sources."""
    assert data.scale is not None
    features, target = pairs.sample_pairs(key, data.pairs, num=num)
    residual = (target - data.mean(features)) / data.scale(features)
    return residual, Condition(vector=features)


def residual_examples(data: ResidualData) -> Examples:
  """Residuals in units of their scale, given the features of their sources."""
  source_dim, block_dim = data.pairs.encoding.linear.shape
  layout = Layout((Part('target', block_dim),), (Part('source', source_dim),))
  return Examples(data, ResidualDraw(), layout)
