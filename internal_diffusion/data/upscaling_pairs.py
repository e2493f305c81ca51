"""What super-resolution learns from: a plane and its own downscaled versions.

A plane is one channel of an image. Downscaled by the factor s it makes pairs
whose truth is known: a source patch of S x S low pixels, and the block of high
pixels that its centre and the pixels around it cover. The target is what is
missing there in the antialiased bicubic upscaling. The plane at several smaller
scales gives more pairs, and so do the s x s ways to lay the low grid on it.

Patches recur at other brightness and contrast (Freedman & Fattal 2011), so a
pair is normalised: the source by its mean and by its contrast

  c = sqrt(variance + eps^2),

and the target by the same c. What a linear map makes of the source, fitted once
to all pairs, is left out of the target too. Turned and mirrored pairs, and
those of inverted brightness, are as likely, so the map knows no direction.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy import ndimage

from internal_diffusion import arrays
from internal_diffusion.data import operators
from internal_diffusion.data.symmetry import pixel_orders

Array = jax.Array

# Scales of the plane that pairs are taken from.
_SCALES = (1.0, 0.9, 0.8, 0.7, 0.6)
_SMALLEST_SIDE = 12  # Of a downscaled plane, in pixels.
_SMALLEST_CONTRAST = 1e-6  # Of a plane that there is something to learn from.
_CONTRAST_FLOOR = 4 / 127.5  # eps above: four grey levels of an 8-bit image.
# Pairs are drawn in proportion to their contrast to this power: what is flat is
# soon learnt, and its errors are small.
_CONTRAST_POWER = 1.5
_MAX_PAIRS = 300_000
_RIDGE = 1e-4  # Of the linear map, relative to the mean variance.
_WHITENING_FLOOR = 1e-2  # The same of the whitening.
# Standard deviation, in pixels, of the window that weighs a whitened source:
# far pixels matter less.
_WINDOW_STDDEV = 2.0


class SourceEncoding(NamedTuple):
  """What is fitted to the pairs once.

  Attributes:
    linear: From a normalised source to a normalised block, [S*S, T*T].
    features: From a normalised source to what a network sees, [S*S, S*S]:
      whitened, and weighed by a window.
  """

  linear: Array
  features: Array


class UpscalingPairs(NamedTuple):
  """Normalised pairs, ready for the device.

  Attributes:
    source: [N, S*S].
    target: Without the linear map's share, [N, T*T].
    cumulative: Distribution function of the draw, [N], the last 1.
    encoding: Fitted to them.
  """

  source: Array
  target: Array
  cumulative: Array
  encoding: SourceEncoding


def block_size(factor: int, reach: int) -> int:
  """Side T of a block: what the low pixels up to `reach` away cover."""
  return factor * (2 * reach + 1)


def windows(plane: np.ndarray, side: int, *, stride: int = 1) -> np.ndarray:
  """All squares of a plane [H, W], [rows, columns, side, side], a view."""
  view = np.lib.stride_tricks.sliding_window_view(plane, (side, side))
  return view[::stride, ::stride]


def sources_of(plane: np.ndarray, *, source_size: int) -> np.ndarray:
  """The source of every pixel of a plane [h, w], [h, w, S, S], a view.

  Beyond the border, the plane repeats its nearest pixel.
  """
  return windows(np.pad(plane, source_size // 2, mode='edge'), source_size)


def normalise(source: Array) -> tuple[Array, Array]:
  """Sources [N, S*S] of mean 0 and unit contrast, and their contrast [N, 1]."""
  centred = source - jnp.mean(source, axis=-1, keepdims=True)
  variance = jnp.mean(centred**2, axis=-1, keepdims=True)
  contrast = jnp.sqrt(variance + _CONTRAST_FLOOR**2)
  return centred / contrast, contrast


def build_pairs(
  planes: Sequence[np.ndarray],
  *,
  factor: int,
  source_size: int,
  reach: int = 1,
  kernel: np.ndarray | None = None,
  encoding: SourceEncoding | None = None,
  weights: Sequence[float] | None = None,
  seed: int = 0,
) -> UpscalingPairs:
  """All pairs of planes, or as many as fit a bounded memory.

  Args:
    planes: Each [H, W] in [-1, 1].
    factor: s, a whole number, at least 2.
    source_size: S, odd.
    reach: How many low pixels around the centre's a block covers.
    kernel: Blur of the degradation; None is antialiased bicubic.
    encoding: An earlier one to keep; None fits one.
    weights: How often pairs of each plane are drawn, over the same of another
      plane; 0 is never. None is all alike.
    seed: Of the choice where there are too many.

  Raises:
    ValueError: If the first plane is constant, all are too small for a single
      pair, or an option is not as said above.
  """
  _check(planes[0], factor, source_size, reach)
  found, of_pairs = [], []
  for plane, weight in zip(planes, weights or [1.0] * len(planes), strict=True):
    for scale in _SCALES:
      for phase in np.ndindex(factor, factor):
        pairs = _pairs_of(
          plane, scale, phase, factor, source_size, reach, kernel
        )
        if pairs is not None:
          found.append(pairs)
          of_pairs.append(weight)
  if not found:
    height, width = planes[0].shape
    smallest = _SMALLEST_SIDE * factor
    raise ValueError(
      f'The image is {height}x{width}, too small to learn the factor {factor}'
      f' from; the smallest that works is {smallest}x{smallest}.'
    )
  rng = np.random.default_rng(seed)
  counts = [source.shape[0] * source.shape[1] for source, _ in found]
  share = min(1.0, _MAX_PAIRS / sum(counts))
  kept = [rng.permutation(n)[: int(np.ceil(share * n))] for n in counts]
  source, target = (
    np.concatenate(
      [_flat(pair[side], k) for pair, k in zip(found, kept, strict=True)]
    )
    for side in (0, 1)
  )
  source, contrast = map(np.asarray, normalise(jnp.asarray(source)))
  target = target / contrast
  if encoding is None:
    encoding = fit_encoding(source, target, contrast)
  of_plane = np.repeat(of_pairs, list(map(len, kept)))
  cumulative = np.cumsum(
    of_plane * contrast[:, 0].astype(np.float64) ** _CONTRAST_POWER
  )
  return UpscalingPairs(
    source=jnp.asarray(source),
    target=jnp.asarray(target - source @ np.asarray(encoding.linear)),
    cumulative=jnp.asarray(cumulative / cumulative[-1], jnp.float32),
    encoding=encoding,
  )


def _check(
  plane: np.ndarray, factor: int, source_size: int, reach: int
) -> None:
  arrays.check_positive_int('source_size', source_size)
  if source_size % 2 == 0:
    raise ValueError(f'`source_size` must be odd, got {source_size}.')
  for name, value, low in (('factor', factor, 2), ('reach', reach, 0)):
    if not isinstance(value, int) or value < low:
      raise ValueError(f'`{name}` must be an integer >= {low}, got {value!r}.')
  if np.ptp(plane) < _SMALLEST_CONTRAST:
    raise ValueError(
      'The image is constant, so there is nothing to learn from it; give one'
      ' with some contrast.'
    )


def _flat(squares: np.ndarray, index: np.ndarray) -> np.ndarray:
  """Some of the squares of `windows`, row by row, [N, side * side]."""
  rows, columns = np.divmod(index, squares.shape[1])
  return squares[rows, columns].reshape(len(index), -1)


def _pairs_of(
  plane: np.ndarray,
  scale: float,
  phase: tuple[int, ...],
  factor: int,
  source_size: int,
  reach: int,
  kernel: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray] | None:
  """Sources and targets of one scale and phase, as `windows`, or None."""
  size = tuple(round(scale * side) for side in plane.shape)
  low_size = tuple(
    (side - first) // factor for side, first in zip(size, phase, strict=True)
  )
  if min(low_size) < _SMALLEST_SIDE:
    return None
  smaller = _shrink(plane, size) if scale < 1 else plane
  top, left = phase
  height, width = (factor * side for side in low_size)
  high = smaller[top : top + height, left : left + width]
  degradation = operators.make_downscaling(low_size, high.shape, kernel=kernel)
  low, enlarged = _down_and_up(high, degradation)
  missing = high - enlarged
  source = sources_of(low, source_size=source_size)
  # Blocks that lie within the plane, and the sources at their centres.
  inside = slice(reach, -reach or None)
  target = windows(missing, block_size(factor, reach), stride=factor)
  return source[inside, inside], target


def _down_and_up(
  high: np.ndarray, degradation: operators.Downscaling
) -> tuple[np.ndarray, np.ndarray]:
  """The low plane of a high one, and its bicubic upscaling.

  By NumPy, since JAX would compile every one of the many sizes.
  """
  if degradation.kernel is not None:
    kernel = np.asarray(degradation.kernel)
    high = ndimage.convolve(high, kernel, mode='nearest')
  low = np.asarray(degradation.rows) @ high @ np.asarray(degradation.columns).T
  up_rows, up_columns = degradation.up_rows, degradation.up_columns
  return low, np.asarray(up_rows) @ low @ np.asarray(up_columns).T


def _shrink(plane: np.ndarray, size: tuple[int, int]) -> np.ndarray:
  degradation = operators.make_downscaling(size, plane.shape)
  return _down_and_up(plane, degradation)[0]


def fit_encoding(
  source: np.ndarray, target: np.ndarray, contrast: np.ndarray
) -> SourceEncoding:
  """The encoding of normalised sources [N, S*S] and targets [N, T*T].

  The linear map counts pairs by their errors in grey levels, that is by
  contrast^2; the whitening counts all alike. Both are as if every pair were
  there in all eight orientations.
  """
  side, block = (round(np.sqrt(v.shape[-1])) for v in (source, target))
  orders = list(zip(pixel_orders(side), pixel_orders(block), strict=True))
  weighted = contrast**2 * source
  square, cross = weighted.T @ source, weighted.T @ target
  square = sum(square[np.ix_(s, s)] for s, _ in orders)
  cross = sum(cross[np.ix_(s, t)] for s, t in orders)
  ridge = _RIDGE * np.trace(square) / len(square)
  linear = np.linalg.solve(square + ridge * np.eye(len(square)), cross)
  moment = source.T @ source / len(source)
  moment = sum(moment[np.ix_(s, s)] for s, _ in orders) / len(orders)
  variance, directions = np.linalg.eigh(moment.astype(np.float64))
  variance = np.maximum(variance, 0) + _WHITENING_FLOOR * np.mean(variance)
  whitening = (directions / np.sqrt(variance)) @ directions.T
  offset = np.arange(side) - side // 2
  profile = np.exp(-(offset**2) / (2 * _WINDOW_STDDEV**2))
  window = np.outer(profile, profile).ravel()
  return SourceEncoding(
    linear=jnp.asarray(linear, jnp.float32),
    features=jnp.asarray(whitening * window, jnp.float32),
  )


def sample_pairs(
  key: Array, pairs: UpscalingPairs, *, num: int
) -> tuple[Array, Array]:
  """Random pairs, turned, mirrored and inverted at random.

  Args:
    key: One key.
    pairs: What there is.
    num: N.

  Returns:
    Features [N, S*S] and targets [N, T*T].
  """
  uniform = arrays.uniform(key, (num, 3))
  index = jnp.searchsorted(pairs.cumulative, uniform[:, 0])
  index = jnp.minimum(index, len(pairs.source) - 1)
  orientation = arrays.index_from_uniform(uniform[:, 1], 8)
  sign = jnp.where(uniform[:, 2:] < 0.5, 1.0, -1.0)

  def turned(vectors: Array) -> Array:
    orders = jnp.asarray(pixel_orders(round(vectors.shape[-1] ** 0.5)))
    return sign * jnp.take_along_axis(
      vectors[index], orders[orientation], axis=-1
    )

  return turned(pairs.source) @ pairs.encoding.features, turned(pairs.target)
