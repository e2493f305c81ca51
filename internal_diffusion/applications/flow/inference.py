"""Optical flow between two frames, with its uncertainty.

From coarse to fine, the second frame is warped by the current flow; the model
gives each pixel a posterior of the remaining displacement; and the field is
fused from their likelihoods and a prior (`field`). Both directions are
estimated together: pixels whose flows there and back disagree are occluded, and
their likelihood has no weight. Before the finest level, a search over all
displacements replaces the flow where its matches are better (`search`).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from internal_diffusion.applications.flow import (
  candidates,
  search,
  small_matrices,
)
from internal_diffusion.applications.flow.candidates import Modes
from internal_diffusion.applications.flow.covariance import (
  KNOWN_PRECISION,
  error_covariance,
  only_along_x,
  with_covariance,
)
from internal_diffusion.applications.flow.field import (
  FieldPosterior,
  FieldPrior,
  fuse,
  sample_fields,
)
from internal_diffusion.applications.flow.frames import (
  FramePyramid,
  make_frame_pyramid,
  warp_plane,
)
from internal_diffusion.applications.flow.model import FlowModel
from internal_diffusion.applications.flow.occlusion import (
  VISIBLE,
  disagreement,
  occlusion_probability,
)
from internal_diffusion.applications.flow.options import FlowOptions
from internal_diffusion.applications.flow.pixels import (
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
    occlusion: Probability that a pixel is not visible in the second frame, [H,
      W].
    occluded: Mask of the pixels where it is above 1/2, [H, W].
    modes: Modes (u, v) of the flow of each pixel among all displacements, [H,
      W, K, 2], to a pixel; the first is the one that the field chose, `mean`.
    mode_weights: Their probabilities, [H, W, K], 0 where there are fewer; that
      of the first is 0 where the field chose none of them.
    posteriors: Posterior of each pixel alone, of the remaining displacement
      delta: its own flow would be mean - delta.
  """

  mean: np.ndarray
  covariance: np.ndarray
  samples: np.ndarray
  disagreement: np.ndarray
  occlusion: np.ndarray
  occluded: np.ndarray
  modes: np.ndarray
  mode_weights: np.ndarray
  posteriors: PixelPosteriors


@with_own_settings
def estimate_flow(
  key: Array,
  model: FlowModel,
  first: np.ndarray,
  second: np.ndarray,
  *,
  options: FlowOptions | None = None,
  progress: bool = False,
) -> Flow:
  """Estimates the flow from one frame to another.

  Args:
    key: Key of the samples.
    model: Model of displacements, from `learn_flow`.
    first: First frame, [H, W, C] in [-1, 1].
    second: Second frame, of the same shape.
    options: Options of the estimation; None is the defaults.
    progress: Whether to show a progress bar.

  Raises:
    ValueError: If the frames differ in shape or are too small.
  """
  options = FlowOptions() if options is None else options
  if np.shape(first) != np.shape(second):
    raise ValueError(
      '`first` and `second` must have one size, got shapes'
      f' {np.shape(first)} and {np.shape(second)}.'
    )
  pyramids = (
    make_frame_pyramid(first, options),
    make_frame_pyramid(second, options),
  )
  (there, back, posteriors), modes = _coarse_to_fine(
    model, *pyramids, options, progress=progress
  )
  mean = np.asarray(there.mean)
  modes = candidates.with_chosen(modes, there.mean)
  apart = np.asarray(disagreement(there.mean, back.mean))
  samples = sample_fields(key, there, num_samples=options.num_samples)
  offsets = np.asarray(samples) - mean
  field_covariance = np.einsum('khwi,khwj->hwij', offsets, offsets)
  field_covariance /= options.num_samples
  occlusion = occlusion_probability(mean, apart, field_covariance)
  level = search.search_level(pyramids[0])
  covariance = error_covariance(
    mean,
    field_covariance,
    posteriors,
    apart,
    np.asarray(pyramids[0].grey[0]),
    np.asarray(warp_plane(pyramids[1].grey[0], there.mean)),
    lost=np.asarray(
      search.lost_fraction(*(p.grey[level] for p in pyramids), there.mean)
    ),
    search_range=search.search_range(pyramids[0]),
  )
  if options.stereo:
    covariance = only_along_x(covariance)
  return Flow(
    mean=mean,
    covariance=covariance.astype(np.float32),
    samples=(mean + with_covariance(offsets, covariance)).astype(np.float32),
    disagreement=apart,
    occlusion=occlusion,
    occluded=occlusion > 0.5,
    modes=np.asarray(modes.displacement),
    mode_weights=np.asarray(modes.weight),
    posteriors=jax.tree.map(np.asarray, posteriors),
  )


class _Fields(NamedTuple):
  """Both flows, and the posteriors of the first frame's pixels."""

  there: FieldPosterior
  back: FieldPosterior
  posteriors: PixelPosteriors


def _coarse_to_fine(
  model: FlowModel,
  first: FramePyramid,
  second: FramePyramid,
  options: FlowOptions,
  *,
  progress: bool,
) -> tuple[_Fields, Modes]:
  """The fields, and the modes of the first frame's pixels."""
  there = back = jnp.zeros((*first.grey[-1].shape, 2))
  with tqdm(
    desc='flow',
    total=2 * options.num_warps * sum(grey.size for grey in first.grey),
    unit='pixel',
    unit_scale=True,
    disable=not progress,
  ) as bar:
    for level in reversed(range(1, len(first.grey))):
      fields = _warp_often(
        model, first, second, there, back, level, options, bar
      )
      size = first.grey[level - 1].shape
      there = search.resize_flow(fields.there.mean, size)
      back = search.resize_flow(fields.back.mean, size)
    start = search.find_start(
      first, second, there, back, options.prior, is_horizontal=options.stereo
    )
    fields = _warp_often(
      model, first, second, start.there, start.back, 0, options, bar
    )
  return fields, start.modes


def _warp_often(
  model: FlowModel,
  first: FramePyramid,
  second: FramePyramid,
  there: Array,
  back: Array,
  level: int,
  options: FlowOptions,
  bar: tqdm,
) -> _Fields:
  """The fields after all warps at one level, from flows there and back."""
  grey, other_grey = first.grey[level], second.grey[level]
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
        KNOWN_PRECISION * options.stereo,
      )
      for way in ways
    )
    there, back = field_there.mean.block_until_ready(), field_back.mean
    bar.update(2 * grey.size)
  return _Fields(field_there, field_back, posteriors)


@jax.jit
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
  vertical_precision: float,
) -> tuple[FieldPosterior, PixelPosteriors]:
  """One warp at one level: the new field, and the posteriors of the pixels."""
  posteriors = pixel_posteriors(model, first, warp_plane(second, flow))
  # Occluded pixels have no likelihood.
  apart = jnp.sum(disagreement(flow, opposite) ** 2, axis=-1)
  visible = warp.stays_inside(flow) / (1 + apart / tolerance**2) ** 2
  weight = likelihood_weight * visible[..., None, None]
  precision = weight * posteriors.precision
  precision += likelihood_weight * _PRECISION_FLOOR * jnp.eye(2)[None, None]
  precision = precision.at[..., 1, 1].add(vertical_precision)
  own_precision = small_matrices.inverse(posteriors.covariance)
  information = small_matrices.times(weight * own_precision, posteriors.mean)
  observed = small_matrices.times(
    small_matrices.inverse(precision), information
  )
  length = jnp.linalg.norm(observed, axis=-1, keepdims=True)
  bound = _MAX_MOVE * model.stddev
  observed *= jnp.minimum(1, bound / jnp.maximum(length, bound))
  # Content moves against delta.
  posterior = fuse(flow - observed, precision, guide, flow, prior=prior)
  return posterior, posteriors
