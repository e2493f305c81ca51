"""What a picture's file says beside its pixels: EXIF, colour profile, DPI.

A result has the metadata of the picture that it was made from:

  metadata = read_metadata('photo.jpg')
  write_image('mean.png', mean, metadata=metadata)

`image_io` returns upright pixels, so the EXIF orientation is 1 (upright) in
what is read here, and the two resolutions are exchanged where the picture was
turned by a quarter. A thumbnail is left out, since it shows the old picture.
"""

import os
import pathlib
import warnings
from typing import NamedTuple

from PIL import Image, UnidentifiedImageError

# Numbers of EXIF tags.
_ORIENTATION, _EXIF_IFD = 274, 34665
_WIDTH, _HEIGHT = 40962, 40963  # Of the picture, in the EXIF IFD.
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 282, 283, 296
_INCH = 2
# How a TIFF stores its pixels: size, compression, strips, tiles, colour map.
_STORAGE = {
  *(254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 277, 278, 279),
  *(280, 281, 284, 288, 289, 290, 291, 292, 293, 297, 301, 317, 320, 321, 322),
  *(323, 324, 325, 330, 332, 338, 339, 340, 341, 347, 512, 513, 514, 529, 530),
  *(531, 532, 34675),
}
# Other blocks, which may hold an orientation of their own.
_OTHER_BLOCKS = {700, 33723, 34377}  # XMP, IPTC, Photoshop.
_TURNED = (5, 6, 7, 8)  # Orientations that exchange rows and columns.
_COLOUR_SPACES = {b'GRAY': (1, 2), b'RGB ': (3, 4)}  # Numbers of channels.
_PROFILE_HEADER = 128  # Bytes.


class Metadata(NamedTuple):
  """Metadata of a picture.

  Attributes:
    exif: EXIF block that begins with a TIFF header; empty for none.
    profile: ICC colour profile; empty for none.
    dpi: Pixels an inch, (horizontal, vertical); None where it is not known.
  """

  exif: bytes = b''
  profile: bytes = b''
  dpi: tuple[float, float] | None = None


def read_metadata(path: str | os.PathLike[str]) -> Metadata:
  """Reads the metadata of a picture.

  Args:
    path: A file that `image_io` can read, or any other, which has none. What
      is damaged is left out with a warning.

  Returns:
    The metadata for a picture that is stored upright.
  """
  path = pathlib.Path(path)
  try:
    with warnings.catch_warnings():
      warnings.simplefilter('ignore')
      with Image.open(path) as image:
        return _metadata_of(image)
  except UnidentifiedImageError:
    return Metadata()
  except Exception as error:  # Pillow's decoders raise many types.
    warnings.warn(
      f'`{path}`: its metadata are damaged and are left out ({error}).',
      stacklevel=2,
    )
    return Metadata()


def for_picture(metadata: Metadata, shape: tuple[int, ...]) -> Metadata:
  """The metadata that fit a picture of a shape.

  Args:
    metadata: Metadata of the picture that it was made from.
    shape: Shape of the new picture, (height, width, channels).

  Returns:
    The metadata with the new size, without a colour profile that is for
    another number of channels.
  """
  profile = metadata.profile
  space = profile[16:20] if len(profile) >= _PROFILE_HEADER else b''
  if shape[-1] not in _COLOUR_SPACES.get(space, ()):
    profile = b''
  exif = metadata.exif
  if exif:
    content = Image.Exif()
    content.load(exif)
    inner = content.get_ifd(_EXIF_IFD)
    if _WIDTH in inner or _HEIGHT in inner:
      inner[_WIDTH], inner[_HEIGHT] = shape[1], shape[0]
      exif = _to_bytes(content)
  return metadata._replace(exif=exif, profile=profile)


def _metadata_of(image: Image.Image) -> Metadata:
  exif = image.getexif()
  is_turned = exif.get(_ORIENTATION) in _TURNED
  profile, dpi = image.info.get('icc_profile'), image.info.get('dpi')
  if dpi is not None:
    dpi = (float(dpi[is_turned]), float(dpi[not is_turned]))
    dpi = dpi if min(dpi) > 0 else None
  return Metadata(_upright(exif, dpi), profile or b'', dpi)


def _upright(exif: Image.Exif, dpi: tuple[float, float] | None) -> bytes:
  """EXIF of an upright picture as bytes, empty if there is none."""
  for tag in (_STORAGE | _OTHER_BLOCKS) & set(exif):
    del exif[tag]
  if _ORIENTATION in exif:
    exif[_ORIENTATION] = 1
  resolution = (_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT)
  if dpi is None:
    for tag in set(resolution) & set(exif):
      del exif[tag]
  elif _X_RESOLUTION in exif:
    exif.update(zip(resolution, (*dpi, _INCH), strict=True))
  return _to_bytes(exif) if exif else b''


def _to_bytes(exif: Image.Exif) -> bytes:
  return exif.tobytes().removeprefix(b'Exif\x00\x00')
