"""Losses of the networks of super-resolution.

The mean minimises the absolute error of normalised targets. Its minimum is the
median, which for the residual of bicubic upscaling lies near the mean, and
which outliers influence less than they influence a squared error's minimum.

The residual of the mean plane is taken to be Laplace distributed. The scale
network predicts its scale b, the mean absolute residual, by the negative
log-likelihood

  log b + |residual| / b,

which weights relative errors of b alike, where b is small as where it is large.
"""

import dataclasses

import jax
import jax.numpy as jnp

from internal_diffusion.applications.super_resolution import pairs
from internal_diffusion.training.state import TrainState

Array = jax.Array


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
  """Negative log-likelihood of residuals, up to its constant."""

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
    features, residual = pairs.sample_pairs(key, data, num=self.batch_size)
    scale = state.model(features[index])
    error = jnp.abs(residual[index])
    return jnp.mean(jnp.log(scale) + error / scale, axis=-1)
