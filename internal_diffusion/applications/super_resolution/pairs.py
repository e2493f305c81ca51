"""Training pairs of super-resolution: a plane and its own smaller versions.

A plane is one channel of an image. Downscaled by the factor s it gives pairs
whose truth is known: a source patch of S x S low pixels, and the block of high
pixels around its centre. The target is the residual of antialiased bicubic
upscaling there. The plane at several smaller scales gives more pairs, and so do
the s x s positions of the low grid on it.

Patches recur at other brightness and contrast (Freedman & Fattal 2011), so a
pair is normalised: the source by its mean and its contrast

  c = sqrt(variance + eps^2),

and the target by the same c. A linear prediction from the source, fitted once
to all pairs, is subtracted from the target. Rotated, mirrored and inverted
pairs are equally likely, so the prediction has no preferred direction.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy import ndimage

from internal_diffusion import arrays
from internal_diffusion.applications.super_resolution.blocks import block_size
from internal_diffusion.data.downscaling import make_downscaling
from internal_diffusion.data.symmetry import pixel_orders

Array = jax.Array

_SCALES = (1.0, 0.9, 0.8, 0.7, 0.6)  # Scales of the plane that give pairs.
_SMALLEST_SIDE = 12  # Smallest side of a low plane, in pixels.
_SMALLEST_CONTRAST = 1e-6  # A plane of less is constant.
_CONTRAST_FLOOR = 4 / 127.5  # eps above: four grey levels of an 8-bit image.
# Pairs are drawn in proportion to their contrast to this power: flat ones are
# learnt quickly, and their errors are small.
_CONTRAST_POWER = 1.5
_MAX_PAIRS = 300_000
_RIDGE = 1e-4  # Ridge of the linear prediction, relative to the mean variance.
_WHITENING_FLOOR = 1e-2  # Ridge of the whitening, likewise.
# Standard deviation, in pixels, of the window over a whitened source: far
# pixels matter less.
_WINDOW_STDDEV = 2.0


class SourceEncoding(NamedTuple):
  """Linear maps of a normalised source, fitted to the pairs once.

  Attributes:
    linear: Linear prediction of a normalised block, [S*S, T*T].
    features: Features, the input of networks, [S*S, S*S]: the source whitened,
      then weighted by a window.
  """

  linear: Array
  features: Array


class UpscalingPairs(NamedTuple):
  """Normalised pairs, on the device.

  Attributes:
    source: Normalised sources, [N, S*S].
    target: Normalised residual blocks after the linear prediction, [N, T*T].
    cumulative: Distribution function of the draw, [N]; the last is 1.
    encoding: Linear prediction and features.
  """

  source: Array
  target: Array
  cumulative: Array
  encoding: SourceEncoding


def windows(plane: np.ndarray, side: int, *, stride: int = 1) -> np.ndarray:
  """All squares of a plane [H, W], [rows, columns, side, side], a view."""
  view = np.lib.stride_tricks.sliding_window_view(plane, (side, side))
  return view[::stride, ::stride]


@jax.jit
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
  """All pairs of planes, or a random subset that fits a bounded memory.

  Args:
    planes: Planes, each [H, W] in [-1, 1].
    factor: Factor s, a whole number, at least 2.
    source_size: Side S of a source, odd.
    reach: Number of low pixels on each side of its centre that a block covers.
    kernel: Blur of the degradation; None is antialiased bicubic.
    encoding: An encoding to use; None fits one to the pairs.
    weights: Weight of each plane's pairs in the draw; 0 never draws them. None
      is equal weights.
    seed: Seed of the subset.

  Raises:
    ValueError: If the first plane is constant, or all are too small for one
      pair.
  """
  if np.ptp(planes[0]) < _SMALLEST_CONTRAST:
    raise ValueError(
      'The image is constant, so there is nothing to learn from it; give one'
      ' with some contrast.'
    )
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
  fraction = min(1.0, _MAX_PAIRS / sum(counts))
  kept = [rng.permutation(n)[: int(np.ceil(fraction * n))] for n in counts]
  source, target = (
    np.concatenate(
      [_flat(pair[side], k) for pair, k in zip(found, kept, strict=True)]
    )
    for side in (0, 1)
  )
  source, contrast = map(np.asarray, normalise(source))
  target = target / contrast
  if encoding is None:
    encoding = fit_encoding(source, target, contrast)
  return UpscalingPairs(
    source=jax.device_put(source),
    target=jax.device_put(target - source @ np.asarray(encoding.linear)),
    cumulative=cumulative_of(
      contrast, weight=np.repeat(of_pairs, list(map(len, kept)))
    ),
    encoding=encoding,
  )


def cumulative_of(
  contrast: np.ndarray, *, weight: np.ndarray | float = 1.0
) -> Array:
  """Distribution function of the draw, from contrasts [N, 1] and weights."""
  cumulative = np.cumsum(
    weight * contrast[:, 0].astype(np.float64) ** _CONTRAST_POWER
  )
  return jax.device_put((cumulative / cumulative[-1]).astype(np.float32))


def _flat(squares: np.ndarray, index: np.ndarray) -> np.ndarray:
  """Squares of `windows` by their index, row by row, [N, side * side]."""
  rows, columns = np.divmod(index, squares.shape[1])
  return squares[rows, columns].reshape(len(index), -1)


def smaller_versions(
  plane: np.ndarray, *, factor: int, kernel: np.ndarray | None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
  """Low and high planes of a plane [H, W], the largest first.

  All scales of one phase come before the next phase.
  """
  for phase in np.ndindex(factor, factor):
    for scale in _SCALES:
      high = _high_plane(plane, scale, phase, factor)
      if high is not None:
        low_size = high.shape[0] // factor, high.shape[1] // factor
        yield _down_and_up(high, low_size, kernel)[0], high


def _high_plane(
  plane: np.ndarray, scale: float, phase: tuple[int, ...], factor: int
) -> np.ndarray | None:
  """The high plane of one scale and phase, or None where it is too small."""
  top, left = phase
  size = round(scale * plane.shape[0]), round(scale * plane.shape[1])
  low_size = (size[0] - top) // factor, (size[1] - left) // factor
  if min(low_size) < _SMALLEST_SIDE:
    return None
  if scale < 1:
    plane, _ = _down_and_up(plane, size, None)
  height, width = (factor * side for side in low_size)
  return plane[top : top + height, left : left + width]


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
  high = _high_plane(plane, scale, phase, factor)
  if high is None:
    return None
  low_size = high.shape[0] // factor, high.shape[1] // factor
  low, enlarged = _down_and_up(high, low_size, kernel)
  # Beyond the border, a plane repeats its nearest pixel.
  padded = np.pad(low, source_size // 2, mode='edge')
  source = windows(padded, source_size)
  # Blocks inside the plane, and the sources at their centres.
  inside = slice(reach, -reach or None)
  target = windows(high - enlarged, block_size(factor, reach), stride=factor)
  return source[inside, inside], target


def _down_and_up(
  high: np.ndarray, low_size: tuple[int, int], kernel: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
  """The low plane of a high one, and its bicubic upscaling.

  By NumPy, since JAX would compile for each of the many sizes.
  """
  operator = make_downscaling(low_size, high.shape, kernel=kernel)
  if operator.kernel is not None:
    high = ndimage.convolve(high, np.asarray(operator.kernel), mode='nearest')
  rows, columns = np.asarray(operator.rows), np.asarray(operator.columns)
  up_rows, up_columns = operator.up_rows, operator.up_columns
  low = rows @ high @ columns.T
  return low, np.asarray(up_rows) @ low @ np.asarray(up_columns).T


def fit_encoding(
  source: np.ndarray, target: np.ndarray, contrast: np.ndarray
) -> SourceEncoding:
  """The encoding of normalised sources [N, S*S] and targets [N, T*T].

  The linear prediction weights pairs by contrast^2, so that errors count in
  grey levels; the whitening weights all alike. Both are those of the pairs in
  all eight orientations.
  """
  side, block = (round(np.sqrt(v.shape[-1])) for v in (source, target))
  orders = list(zip(pixel_orders(side), pixel_orders(block), strict=True))
  weighted = contrast**2 * source
  square, cross = weighted.T @ source, weighted.T @ target
  square = sum(square[np.ix_(s, s)] for s, _ in orders)
  cross = sum(cross[np.ix_(s, t)] for s, t in orders)
  ridge = _RIDGE * np.trace(square) / len(square)
  linear = np.linalg.solve(square + ridge * np.eye(len(square)), cross)
  return SourceEncoding(
    linear=jax.device_put(linear.astype(np.float32)),
    features=fit_whitening(source),
  )


def fit_whitening(source: np.ndarray) -> Array:
  """Linear features [S*S, S*S] of normalised sources [N, S*S].

  The sources are whitened, then weighted by a window.
  """
  side = round(np.sqrt(source.shape[-1]))
  orders = pixel_orders(side)
  moment = source.T @ source / len(source)
  moment = sum(moment[np.ix_(s, s)] for s in orders) / len(orders)
  variance, directions = np.linalg.eigh(moment.astype(np.float64))
  variance = np.maximum(variance, 0) + _WHITENING_FLOOR * np.mean(variance)
  whitening = (directions / np.sqrt(variance)) @ directions.T
  offset = np.arange(side) - (side - 1) / 2
  profile = np.exp(-(offset**2) / (2 * _WINDOW_STDDEV**2))
  window = np.outer(profile, profile).ravel()
  return jax.device_put((whitening * window).astype(np.float32))


def sample_pairs(
  key: Array, pairs: UpscalingPairs, *, num: int
) -> tuple[Array, Array]:
  """Random pairs, rotated, mirrored and inverted at random.

  Returns:
    Features [num, S*S] and targets [num, T*T].
  """
  uniform = arrays.uniform(key, (num, 3))
  index = jnp.searchsorted(pairs.cumulative, uniform[:, 0])
  index = jnp.minimum(index, len(pairs.source) - 1)
  orientation = arrays.index_from_uniform(uniform[:, 1], 8)
  sign = jnp.where(uniform[:, 2:] < 0.5, 1.0, -1.0)

  def transformed(vectors: Array) -> Array:
    orders = jnp.asarray(pixel_orders(round(vectors.shape[-1] ** 0.5)))
    return sign * jnp.take_along_axis(
      vectors[index], orders[orientation], axis=-1
    )

  features = transformed(pairs.source) @ pairs.encoding.features
  return features, transformed(pairs.target)
