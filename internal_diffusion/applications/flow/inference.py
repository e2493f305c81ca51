"""Optical flow between two frames, with its uncertainty.

From coarse to fine, the second frame is warped by the current flow; the model
gives each pixel a posterior of the remaining displacement; and the field is
fused from their likelihoods and a prior (`field`). Both directions are
estimated together: pixels whose flows there and back disagree are occluded, and
their likelihood has no weight. A search finds the start of long motion
(`search`).
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from internal_diffusion import arrays
from internal_diffusion.applications.flow import (
  field,
  search,
  small_matrices,
)
from internal_diffusion.applications.flow.covariance import (
  KNOWN_PRECISION,
  VISIBLE,
  error_covariance,
  find_occluded,
  only_along_x,
  with_covariance,
)
from internal_diffusion.applications.flow.field import (
  FieldPosterior,
  FieldPrior,
)
from internal_diffusion.applications.flow.frames import (
  FramePyramid,
  make_frame_pyramid,
)
from internal_diffusion.applications.flow.model import FlowModel
from internal_diffusion.applications.flow.options import FlowOptions
from internal_diffusion.applications.flow.pixel_posteriors import (
  PixelPosteriors,
  pixel_posteriors,
)
from internal_diffusion.data import warp
from internal_diffusion.jax_settings import with_own_settings

Array = jax.Array

_PRECISION_FLOOR = 1e-3  # Of a pixel's likelihood, in 1 / pixels^2.
_MAX_MOVE = 3.0  # Bound on the move of one warp, in prior standard deviations.
# Tolerance of the disagreement of both flows, in pixels, where they come from a
# coarser level and are not exact enough to tell occlusions.
_ANY = 1e6


class Flow(NamedTuple):
  """A flow and its uncertainty.

  Attributes:
    mean: Flow (u, v) in pixels, [H, W, 2].
    covariance: Covariance of its error, [H, W, 2, 2].
    samples: Equally likely fields, [K, H, W, 2].
    disagreement: Sum of the flow there and the flow back from its end, [H, W,
      2].
    occluded: Mask of pixels that are not visible in the second frame, [H, W].
    posteriors: Posterior of each pixel alone, of the remaining displacement
      delta: its own flow would be mean - delta.
  """

  mean: np.ndarray
  covariance: np.ndarray
  samples: np.ndarray
  disagreement: np.ndarray
  occluded: np.ndarray
  posteriors: PixelPosteriors


@with_own_settings
def estimate_flow(
  key: Array,
  model: FlowModel,
  first: np.ndarray,
  second: np.ndarray,
  *,
  options: FlowOptions | None = None,
  num_samples: int | None = None,
  progress: bool = False,
) -> Flow:
  """Estimates the flow from one frame to another.

  Args:
    key: Key of the samples.
    model: Model of displacements, from `learn_flow`.
    first: First frame, [H, W, C] in [-1, 1].
    second: Second frame, of the same shape.
    options: Options of the estimation; None is the defaults.
    num_samples: Number K of samples, at least 2; None is that of the options.
    progress: Whether to show a progress bar.

  Raises:
    ValueError: If the frames differ in shape or are too small, or an option is
      out of range.
  """
  options = FlowOptions() if options is None else options
  num_samples = options.num_samples if num_samples is None else num_samples
  arrays.check_in_range('num_samples', num_samples, 2, float('inf'))
  if np.shape(first) != np.shape(second):
    raise ValueError(
      '`first` and `second` must have one size, got shapes'
      f' {np.shape(first)} and {np.shape(second)}.'
    )
  pyramids = (
    make_frame_pyramid(first, options),
    make_frame_pyramid(second, options),
  )
  there, back, posteriors = _coarse_to_fine(
    model, *pyramids, options, progress=progress
  )
  return _with_uncertainty(
    key,
    *pyramids,
    there,
    back,
    jax.tree.map(np.asarray, posteriors),
    num_samples=num_samples,
    is_horizontal=options.stereo,
  )


def _with_uncertainty(
  key: Array,
  first: FramePyramid,
  second: FramePyramid,
  there: FieldPosterior,
  back: FieldPosterior,
  posteriors: PixelPosteriors,
  *,
  num_samples: int,
  is_horizontal: bool,
) -> Flow:
  """The flow of two estimates, with covariance, samples and occlusions."""
  mean = np.asarray(there.mean)
  disagreement, warped = map(
    np.asarray, _compare(there.mean, back.mean, second.grey[0])
  )
  offsets = np.asarray(_sample(key, there, num_samples=num_samples)) - mean
  field_covariance = np.einsum('khwi,khwj->hwij', offsets, offsets)
  field_covariance /= num_samples
  covariance = error_covariance(
    mean,
    field_covariance,
    posteriors,
    disagreement,
    np.asarray(first.grey[0]),
    warped,
    lost=search.lost_fraction(first, second, mean),
    search_range=search.search_range(first),
  )
  if is_horizontal:
    covariance = only_along_x(covariance)
  samples = mean + with_covariance(offsets, covariance)
  return Flow(
    mean=mean,
    covariance=covariance.astype(np.float32),
    samples=samples.astype(np.float32),
    disagreement=disagreement,
    occluded=find_occluded(mean, disagreement, field_covariance),
    posteriors=posteriors,
  )


def flow_disagreement(there: Array, back: Array) -> Array:
  """Sum of a flow and the flow back from its end, in pixels, [H, W, 2].

  Args:
    there: Flow (u, v) from the first frame to the second, [H, W, 2].
    back: Flow from the second frame to the first, [H, W, 2].
  """
  return there + warp.warp(back, there, interpolation='bilinear')[0]


def _coarse_to_fine(
  model: FlowModel,
  first: FramePyramid,
  second: FramePyramid,
  options: FlowOptions,
  *,
  progress: bool,
) -> tuple[FieldPosterior, FieldPosterior, PixelPosteriors]:
  """Both flows, and the posteriors of the first frame's pixels at the end."""
  start = search.find_start(
    first, second, options.prior, is_horizontal=options.stereo
  )
  there, back = start.there, start.back
  num_pixels = sum(grey.size for grey in first.grey[: start.level + 1])
  with tqdm(
    desc='flow',
    total=2 * options.num_warps * num_pixels,
    unit='pixel',
    unit_scale=True,
    disable=not progress,
  ) as bar:
    for level in reversed(range(start.level + 1)):
      grey, other_grey = first.grey[level], second.grey[level]
      size = grey.shape
      there, back = (search.resize_flow(flow, size) for flow in (there, back))
      for index in range(options.num_warps):
        tolerance = VISIBLE if index else _ANY
        ways = (
          (grey, first.colour[level], other_grey, there, back),
          (other_grey, second.colour[level], grey, back, there),
        )
        (field_there, posteriors), (field_back, _) = (
          _improve(
            model,
            *way,
            tolerance,
            options.prior,
            options.likelihood_weight,
            is_horizontal=options.stereo,
          )
          for way in ways
        )
        there, back = field_there.mean.block_until_ready(), field_back.mean
        bar.update(2 * grey.size)
  return field_there, field_back, posteriors


@functools.partial(jax.jit, static_argnames='is_horizontal')
def _improve(
  model: FlowModel,
  first: Array,
  guide: Array,
  second: Array,
  flow: Array,
  opposite: Array,
  tolerance: float,
  prior: FieldPrior,
  likelihood_weight: float,
  *,
  is_horizontal: bool,
) -> tuple[FieldPosterior, PixelPosteriors]:
  """One warp at one level: the new field, and the posteriors of the pixels."""
  warped, inside = warp.warp(second[..., None], flow)
  posteriors = pixel_posteriors(model, first, warped[..., 0])
  # Occluded pixels have no likelihood.
  disagreement = jnp.sum(flow_disagreement(flow, opposite) ** 2, axis=-1)
  visible = inside / (1 + disagreement / tolerance**2) ** 2
  weight = likelihood_weight * visible[..., None, None]
  precision = weight * posteriors.precision
  precision += likelihood_weight * _PRECISION_FLOOR * jnp.eye(2)[None, None]
  if is_horizontal:
    known = jnp.diag(jnp.array([0.0, 1.0]))
    precision += KNOWN_PRECISION * known[None, None]
  information = small_matrices.times(
    weight * small_matrices.inverse(posteriors.covariance), posteriors.mean
  )
  observed = small_matrices.times(
    small_matrices.inverse(precision), information
  )
  length = jnp.linalg.norm(observed, axis=-1, keepdims=True)
  bound = _MAX_MOVE * model.stddev
  observed *= jnp.minimum(1, bound / jnp.maximum(length, bound))
  # Content moves against delta.
  posterior = field.fuse(flow - observed, precision, guide, flow, prior=prior)
  return posterior, posteriors


@jax.jit
def _compare(there: Array, back: Array, second: Array) -> tuple[Array, Array]:
  """Disagreement of both flows, and the warped second frame, [H, W]."""
  warped, _ = warp.warp(second[..., None], there)
  return flow_disagreement(there, back), warped[..., 0]


@functools.partial(jax.jit, static_argnames='num_samples')
def _sample(
  key: Array, posterior: FieldPosterior, *, num_samples: int
) -> Array:
  return field.sample_fields(key, posterior, num_samples=num_samples)
