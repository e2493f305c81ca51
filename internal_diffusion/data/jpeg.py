"""What a JPEG file says of the picture that it was made from.

A JPEG encoder converts a picture to luma and two colour differences, averages
the latter over rectangles of pixels (chroma subsampling), takes the orthonormal
cosine transform of each block of 8 x 8 and rounds each coefficient to a
multiple of a step. So of a coefficient F with level n and step q the file says

  |F - n q| <= q / 2,

and nothing else. These cells are a box; the picture that was encoded lies in
it, up to the encoder's own rounding. `JpegCells` holds the box and finds the
nearest pictures in it.

Levels come from `data.jpeg_decoder`, so they are the file's own, whatever its
tables and subsampling. Pictures are [..., H, W, C] in [-1, 1] as always, with a
plane's value 127.5 (x + 1) - 128 (and 127.5 x for colour differences). Nearest
means nearest in each plane of Y, Cb, Cr: then all is separable, and
`data.jpeg_plane` has what concerns one plane.
"""

import functools
import os
import pathlib
from collections.abc import Sequence

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from internal_diffusion import arrays
from internal_diffusion.data import image_decoding, image_encoding, jpeg_decoder
from internal_diffusion.data.jpeg_decoder import StoredJpeg
from internal_diffusion.data.jpeg_plane import PlaneCells, to_blocks
from internal_diffusion.data.operators import Size, check_size
from internal_diffusion.types import static

Array = jax.Array
_PathLike = str | os.PathLike[str]

SUBSAMPLINGS = ('4:4:4', '4:2:2', '4:2:0')
# JFIF 1.02 (ITU-R BT.601): Y, Cb, Cr of R, G, B.
_YCBCR = np.array(
  [
    [0.299, 0.587, 0.114],
    [-0.299 / 1.772, -0.587 / 1.772, 0.5],
    [0.5, -0.587 / 1.402, -0.114 / 1.402],
  ]
)


@flax.struct.dataclass
class JpegCells:
  """The cells of all coefficients of a JPEG file.

  Attributes:
    planes: One for grey, three for colour.
    stored_size: Height and width of the picture as stored.
    is_ycbcr: Whether three planes are luma and colour differences, or RGB.
    orientation: EXIF orientation: how the stored picture is turned to be
      upright, 1 (not at all) to 8. Pictures here are upright.
  """

  planes: tuple[PlaneCells, ...]
  stored_size: Size = static()
  is_ycbcr: bool = static()
  orientation: int = static(default=1)

  @property
  def size(self) -> Size:
    """Height and width of the upright picture."""
    height, width = self.stored_size
    return (width, height) if self.orientation > 4 else (height, width)

  def decode(self) -> Array:
    """The picture of the cells' centres, [H, W, C] clipped to [-1, 1].

    It is what a decoder makes of the file, but not rounded.
    """
    return _decode(self)

  def noise_std(self) -> Array:
    """Standard deviation of the coefficients in their cells, scalar.

    It is a mean over all coefficients of the first plane, in units of [-1, 1].
    """
    return jnp.sqrt(jnp.mean(self.planes[0].steps ** 2) / 12) / 127.5

  def project(self, image: Array, sigma: ArrayLike = 0.0) -> Array:
    """The most probable picture in the cells, given an estimate.

    Blocks that the picture does not fill may leave their cells a little; see
    `settle`.

    Args:
      image: Estimate, [..., H, W, C].
      sigma: Standard deviation of its error; 0 for the nearest picture.

    Returns:
      [..., H, W, C], not clipped.

    Raises:
      ValueError: If the image has another size or number of channels.
    """
    self._check(image)
    return _project(self, image, jnp.asarray(sigma, jnp.float32))

  def settle(self, image: Array, *, num_steps: int = 16) -> Array:
    """A picture in the cells that 8 bits can hold, near an estimate.

    The nearest picture in the cells and the nearest one in [-1, 1] are taken in
    turn (projections onto convex sets).

    Args:
      image: Estimate, [..., H, W, C].
      num_steps: How often.

    Returns:
      [..., H, W, C] in [-1, 1].

    Raises:
      ValueError: If the image has another size or number of channels.
    """
    self._check(image)
    arrays.check_positive_int('num_steps', num_steps)
    return _settle(self, image, num_steps=num_steps)

  def kept_share(self, image: Array) -> float:
    """Share of the coefficients that encoding a picture gives again.

    The picture is rounded to 8 bits and encoded with the file's own tables and
    subsampling.

    Args:
      image: [H, W, C].

    Returns:
      Number in [0, 1].

    Raises:
      ValueError: If the image has another size or number of channels.
    """
    self._check(image)
    return float(_kept_share(self, image))

  def _check(self, image: Array) -> None:
    check_size('image', image, self.size)
    if image.shape[-1] != len(self.planes):
      raise ValueError(
        f'`image` must have {len(self.planes)} channels, as the JPEG file has,'
        f' got shape {image.shape}.'
      )


def read_jpeg_cells(path: _PathLike) -> JpegCells:
  """Reads the cells of a JPEG file.

  Args:
    path: Input path.

  Raises:
    FileNotFoundError: If there is no such file.
    ValueError: If the file is no JPEG, is truncated, or is of a kind that
      cannot be read (four planes, arithmetic coding, lossless, 12 bits).
  """
  stored, orientation = image_decoding.read_jpeg(pathlib.Path(path))
  return _from_stored(stored, orientation)


def encode_cells(
  image: np.ndarray | Array, *, quality: int, subsampling: str = '4:2:0'
) -> JpegCells:
  """The cells that a JPEG encoder would put a picture in.

  Args:
    image: [H, W, 1 or 3]; it is clipped to [-1, 1] and rounded to 8 bits.
    quality: Quality of libjpeg, 1 to 100.
    subsampling: '4:4:4', '4:2:2' or '4:2:0'; grey has none.

  Raises:
    ValueError: If an argument is out of its range.
  """
  arrays.check_positive_int('quality', quality)
  arrays.check_in_range('quality', quality, 1, 100)
  if subsampling not in SUBSAMPLINGS:
    raise ValueError(
      f'`subsampling` must be one of {SUBSAMPLINGS}, got {subsampling!r}.'
    )
  if image.ndim != 3 or image.shape[-1] not in (1, 3):
    raise ValueError(
      f'`image` must be [H, W, 1 or 3], got shape {image.shape}.'
    )
  samples = np.clip(np.round(127.5 * (np.asarray(image) + 1)), 0, 255)
  data = image_encoding.encode_jpeg(
    samples.astype(np.uint8), quality=quality, subsampling=subsampling
  )
  return _from_stored(jpeg_decoder.decode(data), 1)


def _from_stored(stored: StoredJpeg, orientation: int) -> JpegCells:
  planes = tuple(
    PlaneCells(
      jax.device_put(plane.levels),
      jax.device_put(plane.steps.astype(np.float32)),
      plane.factor,
    )
    for plane in stored.planes
  )
  return JpegCells(planes, stored.size, stored.is_ycbcr, orientation)


@jax.jit
def _decode(cells: JpegCells) -> Array:
  planes = [plane.decode(cells.stored_size) for plane in cells.planes]
  return jnp.clip(planes_to_picture(cells, planes), -1, 1)


@jax.jit
def _project(cells: JpegCells, image: Array, sigma: Array) -> Array:
  """See `JpegCells.project`."""
  planes = picture_to_planes(cells, image)
  projected = []
  for index, (plane, own) in enumerate(zip(planes, cells.planes, strict=True)):
    # The errors of channels and of the pixels of a mean are independent.
    gain = np.sum(_YCBCR[index] ** 2) if cells.is_ycbcr else 1.0
    gain /= own.factor[0] * own.factor[1]
    variance = (127.5 * sigma) ** 2 * float(gain)
    projected.append(own.project(plane, variance))
  return planes_to_picture(cells, projected)


@functools.partial(jax.jit, static_argnames='num_steps')
def _settle(cells: JpegCells, image: Array, *, num_steps: int) -> Array:
  """See `JpegCells.settle`."""

  def step(_: int, image: Array) -> Array:
    return jnp.clip(_project(cells, image, jnp.float32(0)), -1, 1)

  return jax.lax.fori_loop(0, num_steps, step, image)


@jax.jit
def _kept_share(cells: JpegCells, image: Array) -> Array:
  """See `JpegCells.kept_share`."""
  num_kept, num_all = jnp.array(0), 0
  levels = _levels(cells, image)
  for found, own in zip(levels, cells.planes, strict=True):
    num_kept += jnp.sum(found == own.levels)
    num_all += own.levels.size
  return num_kept / num_all


@jax.jit
def _levels(cells: JpegCells, image: Array) -> list[Array]:
  """Quantised coefficients that an encoder makes of a picture, by plane."""
  image = jnp.clip(jnp.round(127.5 * (image + 1)), 0, 255) / 127.5 - 1
  # Encoders round the planes, and then the means.
  return [
    jnp.round(
      to_blocks(jnp.round(own.subsample(jnp.round(plane))))
      / own.steps[None, None]
    )
    for plane, own in zip(
      picture_to_planes(cells, image), cells.planes, strict=True
    )
  ]


def picture_to_planes(cells: JpegCells, image: Array) -> list[Array]:
  """Planes [..., H, W] of an upright image, in grey levels around 0."""
  image = 127.5 * _turn_back(image, cells.orientation)
  if cells.is_ycbcr:
    image = jnp.einsum('...c,pc->...p', image, _YCBCR, precision='highest')
  offsets = [0.5, 0, 0] if cells.is_ycbcr else [0.5] * image.shape[-1]
  return [image[..., i] - offset for i, offset in enumerate(offsets)]


def planes_to_picture(cells: JpegCells, planes: Sequence[Array]) -> Array:
  """Inverts `picture_to_planes`."""
  offsets = [0.5, 0, 0] if cells.is_ycbcr else [0.5] * len(planes)
  shifted = [plane + o for plane, o in zip(planes, offsets, strict=True)]
  image = jnp.stack(shifted, axis=-1)
  if cells.is_ycbcr:
    inverse = np.linalg.inv(_YCBCR)
    image = jnp.einsum('...p,cp->...c', image, inverse, precision='highest')
  return _turn(image / 127.5, cells.orientation)


def planes_to_picture_variance(
  cells: JpegCells, variances: Sequence[np.ndarray]
) -> Array:
  """Variances of pixels, for independent errors of the coefficients.

  Args:
    cells: Cells of the picture.
    variances: Those of the coefficients of each plane, [R, C, 8, 8], in squares
      of grey levels.

  Returns:
    [H, W, C], for pixels in [-1, 1].
  """
  planes = [
    own.pixel_variance(variance, cells.stored_size)
    for own, variance in zip(cells.planes, variances, strict=True)
  ]
  image = jnp.stack(planes, axis=-1)
  if cells.is_ycbcr:
    image = image @ (np.linalg.inv(_YCBCR) ** 2).T.astype(np.float32)
  return _turn(image / 127.5**2, cells.orientation)


def _turn(image: Array, orientation: int) -> Array:
  """Turns a stored image [..., H, W, C] upright (EXIF 2.3, tag 274)."""
  if orientation > 4:
    image = image.swapaxes(-3, -2)
  if orientation in (3, 4, 7, 8):
    image = jnp.flip(image, -3)
  if orientation in (2, 3, 6, 7):
    image = jnp.flip(image, -2)
  return image


def _turn_back(image: Array, orientation: int) -> Array:
  """Inverts `_turn`: only the two quarter turns are not their own inverse."""
  return _turn(image, {6: 8, 8: 6}.get(orientation, orientation))
