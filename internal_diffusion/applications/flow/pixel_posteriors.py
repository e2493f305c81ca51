"""Gaussian posteriors of all pixels, each without its neighbours."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion.applications.flow import small_matrices
from internal_diffusion.applications.flow.model import FlowModel
from internal_diffusion.sampling import moments

Array = jax.Array

# At this noise level, in prior standard deviations, x carries no information.
_SIGMA_MAX = 20.0


class PixelPosteriors(NamedTuple):
  """Gaussian posteriors of displacements delta, of each pixel alone.

  Attributes:
    mean: Mean of the posterior in pixels, [..., 2].
    covariance: Covariance of the posterior, [..., 2, 2].
    precision: Precision of the likelihood, the posterior's less the prior's,
      [..., 2, 2].
  """

  mean: Array
  covariance: Array
  precision: Array


def gaussian_posteriors(model: FlowModel, vector: Array) -> PixelPosteriors:
  """Moments of conditions [N, K], by one evaluation of the denoiser."""
  prior = model.stddev**-2 * jnp.eye(2)[None]
  mean, covariance = moments.mean_and_covariance(
    model.given(vector),
    num=len(vector),
    dim=2,
    sigma_max=_SIGMA_MAX * model.stddev,
  )
  precision = small_matrices.inverse(covariance) - prior
  # Rounding may make a very small precision negative.
  return PixelPosteriors(
    mean, covariance, small_matrices.nonnegative(precision)
  )


def noise_between(model: FlowModel, first: Array, warped: Array) -> Array:
  """Noise level of two frames [H, W] of equal content, a scalar.

  The median of their absolute differences ignores the few pixels that do not
  match. The result lies in the model's range.
  """
  difference = warped - first
  difference -= jnp.median(difference)
  # The median of |N(0, 1)| is 0.6745; a difference has the noise of two frames.
  sigma = jnp.median(jnp.abs(difference)) / (0.6745 * np.sqrt(2))
  return jnp.clip(sigma, *model.sensor_noise)


def pixel_posteriors(
  model: FlowModel, first: Array, second: Array
) -> PixelPosteriors:
  """Posteriors of all pixels of two frames [H, W], row by row.

  The frames are also swapped; the two results are averaged.
  """
  size, width = model.patch_size, first.shape[1]
  noise = jnp.full(width, noise_between(model, first, second))
  padded = [jnp.pad(x, size // 2, mode='reflect') for x in (first, second)]

  def patches_of(plane: Array, row: Array) -> Array:
    strip = jax.lax.dynamic_slice_in_dim(plane, row, size)
    columns = [strip[:, i : i + width] for i in range(size)]
    return jnp.stack(columns, axis=1).reshape(size**2, width).T

  def posteriors_of_row(row: Array) -> PixelPosteriors:
    source, target = (patches_of(plane, row) for plane in padded)
    there, back = (
      gaussian_posteriors(model, model.encode(*pair, noise))
      for pair in ((source, target), (target, source))
    )
    return PixelPosteriors(
      (there.mean - back.mean) / 2,
      (there.covariance + back.covariance) / 2,
      (there.precision + back.precision) / 2,
    )

  return jax.lax.map(posteriors_of_row, jnp.arange(first.shape[0]))
