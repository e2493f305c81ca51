"""EXIF, colour profiles and DPI, from one file to another."""

import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from internal_diffusion.data import image_io
from internal_diffusion.data.metadata import (
  Metadata,
  for_picture,
  read_metadata,
)

pytestmark = pytest.mark.filterwarnings('error')

MAKE, ORIENTATION, EXIF_IFD, GPS_IFD = 271, 274, 34665, 34853
EXPOSURE, WIDTH, HEIGHT = 33434, 40962, 40963
SIZE = (12, 20)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()


def with_exif(path, *, orientation=1, mode='RGB', **options):
  """Writes a picture with an EXIF block, and returns its path."""
  exif = Image.Exif()
  exif[MAKE], exif[ORIENTATION] = 'Maker', orientation
  inner = exif.get_ifd(EXIF_IFD)
  inner[EXPOSURE], inner[WIDTH], inner[HEIGHT] = 1 / 50, *SIZE[::-1]
  exif.get_ifd(GPS_IFD)[1] = 'N'
  picture = Image.new(mode, SIZE[::-1], 77)
  picture.save(path, exif=exif.tobytes(), **options)
  return path


def exif_of(path):
  with Image.open(path) as picture:
    exif = picture.getexif()
    return dict(exif), exif.get_ifd(EXIF_IFD), exif.get_ifd(GPS_IFD)


@pytest.mark.parametrize('ending', ['jpg', 'png', 'tif', 'webp'])
@pytest.mark.parametrize('bits', [8, 16])
def test_metadata_go_from_any_file_into_a_png(tmp_path, ending, bits):
  path = with_exif(tmp_path / f'a.{ending}', icc_profile=SRGB, dpi=(300, 300))
  new = tmp_path / 'new.png'
  image = np.zeros((24, 40, 3), np.float32)
  image_io.write_image(new, image, bit_depth=bits, metadata=read_metadata(path))
  top, inner, position = exif_of(new)
  assert top[MAKE] == 'Maker'
  assert inner[EXPOSURE] == pytest.approx(0.02)
  assert (inner[HEIGHT], inner[WIDTH]) == (24, 40)
  assert position[1] == 'N'
  with Image.open(new) as picture:
    assert picture.info['icc_profile'] == SRGB
    assert picture.size == (40, 24)
    if ending != 'webp':  # Which stores none.
      assert picture.info['dpi'] == pytest.approx((300, 300), abs=0.02)
  assert image_io.read_image(new).max() == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize('ending', ['jpg', 'png', 'tif'])
def test_a_turned_picture_is_upright_once(tmp_path, ending):
  path = with_exif(tmp_path / f'a.{ending}', orientation=6, dpi=(300, 150))
  image = image_io.read_image(path)
  assert image.shape[:2] == SIZE[::-1]
  image_io.write_image(tmp_path / 'b.png', image, metadata=read_metadata(path))
  assert exif_of(tmp_path / 'b.png')[0].get(ORIENTATION, 1) == 1
  assert image_io.read_image(tmp_path / 'b.png').shape == image.shape
  with Image.open(tmp_path / 'b.png') as picture:
    assert picture.info['dpi'] == pytest.approx((150, 300), abs=0.02)


@pytest.mark.parametrize('ending', ['jpg', 'png', 'tif', 'webp', 'bmp'])
@pytest.mark.parametrize('channels', [1, 3])
def test_every_format_keeps_what_it_can(tmp_path, ending, channels):
  exif = Image.Exif()
  exif[MAKE] = 'Maker'
  block = exif.tobytes().removeprefix(b'Exif\0\0')
  given = Metadata(block, SRGB, (200.0, 200.0))
  path = tmp_path / f'a.{ending}'
  image = np.zeros((*SIZE, channels), np.float32)
  image_io.write_image(path, image, metadata=given)
  found = read_metadata(path)
  if ending != 'webp':
    assert found.dpi == pytest.approx((200, 200), abs=0.02)
  if ending in ('jpg', 'png', 'webp'):
    assert exif_of(path)[0][MAKE] == 'Maker'
  is_colour = channels == 3
  assert found.profile == (SRGB if is_colour and ending != 'bmp' else b'')


def test_a_profile_for_other_channels_is_left_out():
  grey = bytearray(SRGB)
  grey[16:20] = b'GRAY'
  for profile, channels in ((SRGB, (3, 4)), (bytes(grey), (1, 2))):
    for number in (1, 2, 3, 4):
      found = for_picture(Metadata(profile=profile), (*SIZE, number))
      assert bool(found.profile) == (number in channels)
  assert not for_picture(Metadata(profile=b'short'), (*SIZE, 3)).profile


def test_a_picture_without_metadata_has_none(tmp_path):
  image_io.write_image(tmp_path / 'a.png', np.zeros((4, 5, 1)))
  assert read_metadata(tmp_path / 'a.png') == Metadata()
  np.save(tmp_path / 'a.npy', np.zeros(3))
  assert read_metadata(tmp_path / 'a.npy') == Metadata()


def test_damaged_metadata_are_left_out(tmp_path):
  path = with_exif(tmp_path / 'a.jpg', icc_profile=SRGB)
  content = bytearray(path.read_bytes())
  # The first directory lies beyond the end of the block.
  start = content.index(b'Exif\0\0') + 6
  order = '<' if content[start : start + 2] == b'II' else '>'
  content[start + 4 : start + 8] = struct.pack(order + 'I', 2**31)
  path.write_bytes(content)
  with pytest.warns(UserWarning, match='Corrupt EXIF'):  # Pillow's own.
    assert image_io.read_image(path).shape == (*SIZE, 3)
  found = read_metadata(path)
  assert b'Maker' not in found.exif
  assert found.profile == SRGB
  image_io.write_image(tmp_path / 'b.png', np.zeros((*SIZE, 3)), metadata=found)


def test_a_damaged_file_has_none_and_says_so(tmp_path):
  path = with_exif(tmp_path / 'a.png')
  content = bytearray(path.read_bytes())
  path.write_bytes(content[: len(content) // 2])
  with pytest.warns(UserWarning, match='left out'):
    read_metadata(path)
