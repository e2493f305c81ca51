"""Optical flow between two frames, and how sure it is.

From coarse to fine, the second frame is warped by the flow so far; the model
says for every pixel what it knows of the displacement that is left, as a
distribution; and the field is found that agrees best with all of them
(`sampling.gaussian_field`). Both directions are found together: what does not
come back is hidden in the other frame, and has nothing to say.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from tqdm import tqdm

from internal_diffusion import arrays
from internal_diffusion.applications import flow_model
from internal_diffusion.applications.flow_model import FlowModel, Frame, Seen
from internal_diffusion.applications.flow_spread import spread_of
from internal_diffusion.data import warp
from internal_diffusion.sampling import gaussian_field
from internal_diffusion.sampling.gaussian_field import (
  FieldPosterior,
  FieldPrior,
)

Array = jax.Array

_PRECISION_FLOOR = 1e-3  # Of an observation, in 1 / pixels^2.
_MAX_OBSERVED = 3.0  # Prior standard deviations that a warp may move.
# Disagreement of the flows there and back, in pixels, that says that a pixel is
# hidden, and one that says nothing.
_VISIBLE, _ANY = 0.5, 1e6
_CHI_SQUARED = 9.21  # Of two degrees, 99%.
_TINY = 1e-8  # Pixels^2, that keep a covariance of few samples invertible.
_PINNED = 1e6  # Precision of a component that is known, in 1 / pixels^2.


class FlowOptions(NamedTuple):
  """How a field is found.

  Attributes:
    prior: How fields are expected to be.
    evidence_share: What the product of neighbours' likelihoods counts each as,
      in (0, 1]: they see the same pixels.
    num_warps: How often the second frame is warped at each level.
    is_horizontal: Whether nothing moves along y, as in rectified stereo.
  """

  prior: FieldPrior
  evidence_share: float
  num_warps: int
  is_horizontal: bool = False


class Flow(NamedTuple):
  """A flow and how sure it is.

  Attributes:
    mean: (u, v) in pixels, [H, W, 2].
    covariance: Of its error, [H, W, 2, 2].
    samples: Whole fields, each as likely as the others, [K, H, W, 2].
    disagreement: What is left of going there and back, in pixels, [H, W, 2].
    is_hidden: Pixels that the second frame does not show, [H, W].
    seen: What every pixel alone says of the displacement delta that is left:
      its own flow would be mean - delta.
  """

  mean: np.ndarray
  covariance: np.ndarray
  samples: np.ndarray
  disagreement: np.ndarray
  is_hidden: np.ndarray
  seen: Seen


def make_options(
  config: ml_collections.ConfigDict, *, is_horizontal: bool = False
) -> FlowOptions:
  """The options of a configuration.

  Args:
    config: As in configs/flow.py.
    is_horizontal: Whether nothing moves along y.

  Raises:
    ValueError: If a field is not usable.
  """
  arrays.check_positive_int('num_warps', config.num_warps)
  for name in (*FieldPrior._fields, 'evidence_share'):
    arrays.check_in_range(name, config[name], 0, float('inf'), open_low=True)
  prior = FieldPrior(*(config[name] for name in FieldPrior._fields))
  return FlowOptions(
    prior, config.evidence_share, config.num_warps, is_horizontal
  )


def estimate_flow(
  key: Array,
  model: FlowModel,
  first: Frame,
  second: Frame,
  *,
  options: FlowOptions,
  num_samples: int = 16,
  progress: bool = False,
) -> Flow:
  """The flow from one frame to another.

  Args:
    key: Of the samples.
    model: What knows of displacements.
    first: The frame that the flow starts from.
    second: The frame that it leads to, of the same size.
    options: How the field is found.
    num_samples: K, at least 2.
    progress: Whether to show a progress bar.

  Raises:
    ValueError: If the frames differ in size, or an option is out of range.
  """
  sizes = [frame.colour[0].shape for frame in (first, second)]
  if sizes[0] != sizes[1]:
    raise ValueError(f'Both frames must have one size, got {sizes}.')
  arrays.check_in_range('num_samples', num_samples, 2, float('inf'))
  num_pixels = sum(level.size for level in first.grey)
  with tqdm(
    desc='flow',
    total=2 * options.num_warps * num_pixels,
    unit='pixel',
    unit_scale=True,
    disable=not progress,
  ) as bar:
    there, back, seen = _coarse_to_fine(model, first, second, options, bar)
  mean, seen = np.asarray(there.mean), jax.tree.map(np.asarray, seen)
  disagreement = np.asarray(flow_disagreement(there.mean, back.mean))
  offsets = np.asarray(_sample(key, there, num_samples=num_samples)) - mean
  warped, _ = warp.warp(second.grey[0][..., None], there.mean)
  field_covariance = np.einsum('khwi,khwj->hwij', offsets, offsets)
  field_covariance /= num_samples
  covariance = spread_of(
    mean,
    field_covariance,
    seen,
    disagreement,
    np.asarray(first.grey[0]),
    np.asarray(warped[..., 0]),
  )
  if options.is_horizontal:
    covariance = _along_x(covariance)
  samples = mean + _spread_out(offsets, covariance)
  return Flow(
    mean=mean,
    covariance=covariance.astype(np.float32),
    samples=samples.astype(np.float32),
    disagreement=disagreement,
    is_hidden=find_hidden(mean, disagreement, field_covariance),
    seen=seen,
  )


def flow_disagreement(there: Array, back: Array) -> Array:
  """What is left of going there and back, in pixels, [H, W, 2].

  Args:
    there: From the first frame to the second, (u, v), [H, W, 2].
    back: From the second to the first.
  """
  return there + warp.warp(back, there, interpolation='bilinear')[0]


def _coarse_to_fine(
  model: FlowModel,
  first: Frame,
  second: Frame,
  options: FlowOptions,
  bar: tqdm,
) -> tuple[FieldPosterior, FieldPosterior, Seen]:
  """Both flows, and what the first frame's pixels say in the end."""
  there = back = jnp.zeros((*first.grey[-1].shape, 2))
  for level in reversed(range(len(first.grey))):
    height, width = first.grey[level].shape
    there, back = (
      _resize_flow(flow, (height, width)) for flow in (there, back)
    )
    for index in range(options.num_warps):
      # Coming from a coarser level, disagreement means little yet.
      tolerance = _VISIBLE if index else _ANY
      ways = (first, second, there, back), (second, first, back, there)
      (field, seen), (field_back, _) = (
        _improve(
          model,
          source.grey[level],
          source.colour[level],
          target.grey[level],
          flow,
          opposite,
          tolerance,
          options.prior,
          options.evidence_share,
          is_horizontal=options.is_horizontal,
        )
        for source, target, flow, opposite in ways
      )
      there, back = field.mean.block_until_ready(), field_back.mean
      bar.update(2 * first.grey[level].size)
  return field, field_back, seen


def _resize_flow(flow: Array, size: tuple[int, int]) -> Array:
  scale = jnp.array([size[1] / flow.shape[1], size[0] / flow.shape[0]])
  return scale[None, None] * jax.image.resize(flow, (*size, 2), 'linear')


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
  evidence_share: float,
  *,
  is_horizontal: bool,
) -> tuple[FieldPosterior, Seen]:
  """One warp at one level: the field, and what pixels say."""
  warped, inside = warp.warp(second[..., None], flow)
  seen = flow_model.look(model, first, warped[..., 0])
  # What the second frame does not show has nothing to say.
  disagreement = jnp.sum(flow_disagreement(flow, opposite) ** 2, axis=-1)
  visible = inside / (1 + disagreement / tolerance**2) ** 2
  share = evidence_share * visible[..., None, None]
  precision = share * seen.precision
  precision += evidence_share * _PRECISION_FLOOR * jnp.eye(2)[None, None]
  if is_horizontal:
    precision += _PINNED * jnp.diag(jnp.array([0.0, 1.0]))[None, None]
  information = gaussian_field.times(
    share * gaussian_field.inverse_2x2(seen.covariance), seen.mean
  )
  observed = gaussian_field.times(
    gaussian_field.inverse_2x2(precision), information
  )
  length = jnp.linalg.norm(observed, axis=-1, keepdims=True)
  bound = _MAX_OBSERVED * model.stddev
  observed *= jnp.minimum(1, bound / jnp.maximum(length, bound))
  # What stands at the place of a pixel has moved by the opposite.
  field = gaussian_field.fuse(
    flow - observed, precision, guide, flow, prior=prior
  )
  return field, seen


def find_hidden(
  mean: np.ndarray, disagreement: np.ndarray, covariance: np.ndarray
) -> np.ndarray:
  """Where the flow leads outside, or does not come back as near as it should.

  Two flows of covariance C disagree with a covariance of 2 C. If C is round,
  one disagreement in a hundred is longer by chance than sqrt(9.21 trace C).

  Args:
    mean: The flow, [H, W, 2].
    disagreement: What is left of going there and back, [H, W, 2].
    covariance: What the field leaves open, C, [H, W, 2, 2].

  Returns:
    Booleans, [H, W].
  """
  inside = np.asarray(warp.stays_inside(jnp.asarray(mean)))
  by_chance = _CHI_SQUARED * np.trace(covariance, axis1=-2, axis2=-1)
  squares = np.sum(np.square(disagreement), axis=-1)
  return ~inside | (squares > _VISIBLE**2 + by_chance)


def _along_x(covariance: np.ndarray) -> np.ndarray:
  """All of the variance [H, W, 2, 2] in the component that is not known."""
  total = np.trace(covariance, axis1=-2, axis2=-1)
  along_x = np.diag([1.0, 0.0])
  known = np.diag([0.0, 1 / _PINNED])
  return total[..., None, None] * along_x + known


def _spread_out(samples: np.ndarray, covariance: np.ndarray) -> np.ndarray:
  """Samples [K, H, W, 2] about 0 such that they have a covariance.

  They keep how neighbours and components go together.
  """
  own = np.einsum('khwi,khwj->hwij', samples, samples) / len(samples)
  root, own_root = (
    np.linalg.cholesky(matrix)
    for matrix in (covariance, own + _TINY * np.eye(2))
  )
  spread = root @ np.linalg.inv(own_root)
  return np.einsum('hwij,khwj->khwi', spread, samples)


@functools.partial(jax.jit, static_argnames='num_samples')
def _sample(key: Array, field: FieldPosterior, *, num_samples: int) -> Array:
  return gaussian_field.sample_fields(key, field, num_samples=num_samples)
