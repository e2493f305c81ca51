"""The pyramid of a work area: a picture with holes at several scales.

A coarser pixel is hole if one of the four pixels below it is. Known pixels are
averaged with binomial weights, and hole pixels take no part in any average.

All arrays have a margin on each side that is outside of the picture, so a
window around any pixel exists, and a size that is rounded up, so that pictures
of about one size compile once. Positions are flat: row times width plus column.
"""

import flax.struct
import jax
import numpy as np
from scipy import ndimage

from internal_diffusion.applications.editing.edge_sides import decided
from internal_diffusion.types import static

Array = jax.Array

PATCH_SIZE = 7
# Sides of the patches of which the first fills are made, where the picture has
# enough of them. Small ones follow edges, large ones keep texture whole.
FIRST_SIDES = (15, 21)
_ENOUGH_PATCHES = 128
MARGIN = max(FIRST_SIDES) // 2
OUTSIDE = 0  # A position in the margin.
# The hole's inscribed radius at the coarsest level: there, most patches that
# touch the hole have known pixels on two of its sides.
_RADIUS_AT_COARSEST = 5.0
_LEAST_SIDE = 24  # Side of the coarsest level at least, in pixels.
_TRUST = 0.03  # In pixels that are known but not given, in the first fill.
_SIDE_STEP = 8  # Sides of the coarsest level are multiples of this.
_BINOMIAL = np.array([1, 3, 3, 1]) / 8
# Lengths of the lists of positions are rounded up to one of these times 2^k.
_LENGTHS = (256, 384)


@flax.struct.dataclass
class FillLevel:
  """A level of the pyramid.

  Attributes:
    image: [H, W, C]; hole pixels and those outside are 0.
    known: 1 at pixels that are given, less at those that are known otherwise,
      and 0 at others, [H, W].
    weight: 1 inside the picture and 0 outside, [H, W].
    sides: Codes of the sides of edges, see `edge_sides`, [H, W].
    is_source: Whether the patch around a pixel is known as a whole, [H * W].
    sources: Positions of such patches, [M], repeated from the start.
    num_sources: Number of different ones, scalar int32.
    holes: Positions of the hole's pixels, [P]; filled up with OUTSIDE.
    targets: Positions of the patches that touch the hole, [N]; likewise.
    depth: Distance of each pixel to the nearest known one, [H * W].
    num_holes: Number of the hole's pixels.
    first_sources: As `sources`, for the patches of each of `first_sides`.
    num_first_sources: As `num_sources`, for each.
    first_sides: Sides of the patches of which the first fills are made.
  """

  image: Array
  known: Array
  weight: Array
  sides: Array
  is_source: Array
  sources: Array
  num_sources: Array
  holes: Array
  targets: Array
  depth: Array
  num_holes: np.int32
  first_sources: tuple[Array, ...]
  num_first_sources: tuple[Array, ...]
  first_sides: tuple[int, ...] = static()

  @property
  def size(self) -> tuple[int, int]:
    """Height and width with the margins."""
    return self.image.shape[0], self.image.shape[1]


def make_levels(
  image: np.ndarray,
  mask: np.ndarray,
  *,
  given: np.ndarray,
  sides: np.ndarray,
) -> list[FillLevel]:
  """The levels of a picture, finest first.

  Args:
    image: [H, W, C]; the values of hole pixels are not used.
    mask: True at hole pixels, [H, W].
    given: True at the pixels of which sources consist, [H, W].
    sides: Codes of the sides of edges, see `edge_sides`, [H, W].

  Raises:
    ValueError: If no whole patch is known at the finest level.
  """
  inside = np.ones(mask.shape, bool)
  num_levels = _num_levels(mask)
  step = _SIDE_STEP * 2 ** (num_levels - 1)
  around = [(0, -side % step) for side in mask.shape]
  known, given = (np.pad(part, around) for part in (~mask, given))
  sides = np.pad(sides, around)
  inside = np.pad(inside, around)
  image = np.pad(np.where(mask[..., None], 0, image), [*around, (0, 0)])
  levels = []
  for index in range(num_levels):
    if index:
      given = _whole_blocks(given, inside)
      sides = np.bitwise_or.reduce(_blocks(sides), axis=(1, 3))
      image, known, inside = _halve(image, known, inside)
    if not _whole(given, PATCH_SIZE).any():
      break
    levels.append(_make_level(image, known, inside, given, sides))
  if not levels:
    raise ValueError(
      f'`mask` must leave a square of {PATCH_SIZE}x{PATCH_SIZE} known pixels or'
      ' more to learn from; make it smaller.'
    )
  return levels


def _num_levels(mask: np.ndarray) -> int:
  """Number of levels until the hole is small."""
  radius = float(ndimage.distance_transform_edt(np.pad(mask, 1)).max())
  num, side = 1, min(mask.shape)
  while radius > _RADIUS_AT_COARSEST and side >= 2 * _LEAST_SIDE:
    num, radius, side = num + 1, radius / 2, side // 2
  return num


def _whole(known: np.ndarray, size: int) -> np.ndarray:
  """Centres of the patches of a side of `size` that are known as a whole."""
  return ndimage.minimum_filter(known, size, mode='constant')


def _halve(
  image: np.ndarray, known: np.ndarray, inside: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """The next coarser image, known pixels and pixels inside the picture."""
  weight = known[..., None].astype(np.float32)
  total, weights = (_blur_and_halve(part) for part in (weight * image, weight))
  is_known = _whole_blocks(known, inside)
  is_inside = np.any(_blocks(inside), axis=(1, 3))
  image = np.where(
    is_known[..., None], total / np.where(weights > 0, weights, 1), 0
  )
  return image, is_known, is_inside


def _whole_blocks(known: np.ndarray, inside: np.ndarray) -> np.ndarray:
  """Whether all pixels of a coarser one that are inside are known."""
  blocks, is_inside = _blocks(known), _blocks(inside)
  is_whole = np.all(blocks >= is_inside, axis=(1, 3))
  return is_whole & np.any(is_inside, axis=(1, 3))


def _blocks(values: np.ndarray) -> np.ndarray:
  return values.reshape(values.shape[0] // 2, 2, -1, 2)


def _blur_and_halve(image: np.ndarray) -> np.ndarray:
  for axis in (0, 1):
    image = ndimage.correlate1d(
      image, _BINOMIAL, axis=axis, mode='constant', origin=-1
    )
  return image[::2, ::2]


def _make_level(
  image: np.ndarray,
  known: np.ndarray,
  inside: np.ndarray,
  given: np.ndarray,
  sides: np.ndarray,
) -> FillLevel:
  around = (MARGIN, MARGIN)
  image = np.pad(image.astype(np.float32), [around, around, (0, 0)])
  known, inside, given, sides = (
    np.pad(part, MARGIN) for part in (known, inside, given, sides)
  )
  sources = _whole(given, PATCH_SIZE)
  hole = inside & ~known
  sides = decided(sides, hole)
  targets = ndimage.maximum_filter(hole, PATCH_SIZE) & inside
  first = {side: _whole(given, side) for side in FIRST_SIDES}
  first = {k: v for k, v in first.items() if v.sum() >= _ENOUGH_PATCHES}
  if not first:
    first = {PATCH_SIZE: sources}
  depth = ndimage.distance_transform_edt(~known).astype(np.float32)
  put = jax.device_put
  return FillLevel(
    image=put(image),
    known=put(np.where(given, 1, _TRUST * known).astype(np.float32)),
    weight=put(inside.astype(np.float32)),
    sides=put(sides),
    is_source=put(sources.ravel()),
    sources=put(_repeated(np.flatnonzero(sources))),
    num_sources=put(np.int32(sources.sum())),
    holes=put(_padded(np.flatnonzero(hole))),
    targets=put(_padded(np.flatnonzero(targets))),
    depth=put(depth.ravel()),
    num_holes=np.int32(hole.sum()),
    first_sources=tuple(
      put(_repeated(np.flatnonzero(one))) for one in first.values()
    ),
    num_first_sources=tuple(put(np.int32(one.sum())) for one in first.values()),
    first_sides=tuple(first),
  )


def _repeated(positions: np.ndarray) -> np.ndarray:
  """Positions, repeated from the start."""
  return np.resize(positions.astype(np.int32), _rounded(len(positions)))


def _padded(positions: np.ndarray) -> np.ndarray:
  """Positions, filled up with OUTSIDE."""
  missing = _rounded(len(positions)) - len(positions)
  return np.pad(
    positions.astype(np.int32), (0, missing), constant_values=OUTSIDE
  )


def _rounded(length: int) -> int:
  """The next length that is one of few."""
  lengths = list(_LENGTHS)
  while lengths[0] < length:
    lengths = [*lengths[1:], 2 * lengths[0]]
  return lengths[0]
