"""Pixels that the other frame does not show: found by both flows, and filled.

A pixel is visible if the flow there and the flow back from its end cancel. Let
C be the covariance of the field. Both flows then disagree with covariance 2 C,
and if C is isotropic, one disagreement g in a hundred is longer by chance than
sqrt(h trace C), h = 9.21. With a tolerance v and

  q = |g|^2 / (v^2 + h trace C),

the density of g is proportional to exp(-h q / 2) for visible pixels. For
occluded ones it is taken for constant, equal at q = 1. So a pixel that stays
inside is occluded with probability 1 / (1 + exp(h (1 - q) / 2)).

The start of an estimation has no flow of occluded pixels. They belong to one
of the surfaces around them, and edges of the image show to which: the flow of
known pixels floods the others, over low gradients first (a watershed). Just
around a jump of the flow, a match shows both surfaces and often has the wrong
one, so it is flooded too.
"""

import jax
import jax.numpy as jnp
import numpy as np
import scipy.ndimage
import skimage.filters
import skimage.segmentation

from internal_diffusion.data import warp

Array = jax.Array

VISIBLE = 0.5  # v: disagreement in pixels that visible pixels may have.

_HIGH = 9.21  # 99% quantile of a chi-squared variable of two degrees.
_CANCELS = 1.0  # Disagreement along an axis of flows in whole pixels.
_MIXED = 3  # Reach of matches that show two surfaces, in pixels.
_JUMP = 3.0  # Difference of flows of two surfaces, in pixels.


@jax.jit
def disagreement(there: Array, back: Array) -> Array:
  """Sum of a flow and the flow back from its end, in pixels, [H, W, 2]."""
  return there + warp.warp(back, there, interpolation='bilinear')[0]


@jax.jit
def leads_back(there: Array, back: Array) -> Array:
  """Mask of pixels whose flow, in whole pixels, leads inside and back, [H, W].

  Args:
    there: Flow of the pixels, [H, W, 2].
    back: Flow of the other frame's pixels, [H, W, 2].
  """
  apart = jnp.max(jnp.abs(disagreement(there, back)), axis=-1)
  return warp.stays_inside(there) & (apart <= _CANCELS)


def occlusion_probability(
  mean: np.ndarray, disagreement: np.ndarray, covariance: np.ndarray
) -> np.ndarray:
  """Probability that a pixel is not visible in the other frame, [H, W].

  Args:
    mean: Flow, [H, W, 2].
    disagreement: Disagreement g of both flows, [H, W, 2].
    covariance: Covariance C of the field, [H, W, 2, 2].
  """
  inside = np.asarray(warp.stays_inside(jnp.asarray(mean)))
  spread = VISIBLE**2 + _HIGH * np.trace(covariance, axis1=-2, axis2=-1)
  q = np.sum(np.square(disagreement), axis=-1) / spread
  # The exponent is at most 4.6.
  probability = 1 / (1 + np.exp(_HIGH / 2 * (1 - q)))
  return np.where(inside, probability, 1.0).astype(np.float32)


def fill(flow: np.ndarray, known: np.ndarray, guide: np.ndarray) -> np.ndarray:
  """A flow whose unknown pixels have that of the surface they belong to.

  Args:
    flow: Flow, [H, W, 2].
    known: Mask of pixels whose flow is known, [H, W].
    guide: Image whose edges separate surfaces, [H, W, C].

  Returns:
    The flow, [H, W, 2]; the same one where nothing is known.
  """
  if not known.any():
    return flow
  edges = np.sqrt(
    sum(np.square(skimage.filters.sobel(c)) for c in np.moveaxis(guide, -1, 0))
  )
  filled = _flood(flow, known, edges)
  window = (2 * _MIXED + 1, 2 * _MIXED + 1, 1)
  highest, lowest = (
    fn(filled, window)
    for fn in (scipy.ndimage.maximum_filter, scipy.ndimage.minimum_filter)
  )
  has_jump = np.max(highest - lowest, axis=-1) > _JUMP
  # Single unknown pixels are noise.
  areas = scipy.ndimage.binary_opening(~known)
  near = scipy.ndimage.binary_dilation(areas, iterations=_MIXED)
  sure = known & ~has_jump & ~near
  return _flood(flow, sure, edges) if sure.any() else filled


def _flood(
  flow: np.ndarray, known: np.ndarray, edges: np.ndarray
) -> np.ndarray:
  own = np.arange(1, known.size + 1, dtype=np.int32).reshape(known.shape)
  source = skimage.segmentation.watershed(edges, np.where(known, own, 0))
  return flow.reshape(-1, 2)[source - 1]
