"""Reading image files of 8 bits a sample, made by Pillow, and broken ones."""

import io
import pathlib
import struct
import time
import warnings
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from internal_diffusion.data import image_io
from tests.data.picture_files import (
  ORIENTATION,
  UPRIGHT,
  assert_reads,
  raises_one_line,
  samples,
  save,
  to_pixels,
)

# Without `pytest.warns`, a test also shows that nothing is said.
pytestmark = pytest.mark.filterwarnings('error')
LOSSLESS = ['.png', '.webp', '.tif', '.tiff', '.bmp']


@pytest.mark.parametrize('extension', LOSSLESS)
@pytest.mark.parametrize('channels', [1, 3])
def test_8_bit_samples_survive_a_round_trip_exactly(
  tmp_path, extension, channels
):
  expected = to_pixels(samples(5, 7, channels))
  path = tmp_path / f'a{extension.upper()}'
  image_io.write_image(path, expected)
  assert_reads(path, expected, channels=channels)


@pytest.mark.parametrize('extension', LOSSLESS)
def test_rounding_is_to_the_nearest_sample(tmp_path, extension):
  image = np.random.default_rng(0).uniform(-1, 1, (9, 8, 3))
  image_io.write_image(tmp_path / f'a{extension}', image)
  error = image_io.read_image(tmp_path / f'a{extension}') - image
  assert np.abs(error).max() <= 1 / 255 + 1e-6


@pytest.mark.parametrize('extension', ['.jpg', '.jpeg'])
@pytest.mark.parametrize('channels', [1, 3])
def test_jpeg_is_close_on_a_smooth_picture(tmp_path, extension, channels):
  y, x, c = np.mgrid[:16, :24, :channels]
  image = np.sin(0.1 * x + 0.15 * y + c)
  image_io.write_image(tmp_path / f'a{extension}', image)
  read = image_io.read_image(tmp_path / f'a{extension}', channels=channels)
  assert np.abs(read - image).max() < 0.06


@pytest.mark.parametrize('extension', ['.png', '.tif', '.bmp'])
def test_palette_and_1_bit(tmp_path, extension):
  colours = samples(4, 3, seed=1)
  indices = samples(6, 5) % 4
  picture = Image.fromarray(indices).convert('P')
  picture.frombytes(indices.tobytes())
  picture.putpalette(colours.tobytes())
  path = save(tmp_path / f'palette{extension}', picture)
  assert_reads(path, to_pixels(colours[indices]))
  bits = samples(6, 5) % 2
  picture = Image.fromarray(255 * bits).convert('1')
  path = save(tmp_path / f'bits{extension}', picture)
  assert_reads(path, 2.0 * bits[..., None] - 1, channels=1)


@pytest.mark.parametrize('extension', ['.tif', '.jpg'])
def test_cmyk(tmp_path, extension):
  # No ink, all of C, M and Y, red as M and Y, and black ink alone. Blocks of
  # 16 pixels keep JPEG from mixing them.
  inks = [(0, 0, 0, 0), (255, 255, 255, 0), (0, 255, 255, 0), (0, 0, 0, 255)]
  colours = [(1, 1, 1), (-1, -1, -1), (1, -1, -1), (-1, -1, -1)]
  picture = Image.new('CMYK', (64, 16))
  for i, ink in enumerate(inks):
    picture.paste(ink, (16 * i, 0, 16 * i + 16, 16))
  path = save(tmp_path / f'a{extension}', picture)
  image = image_io.read_image(path)
  expected = np.array(colours, np.float32)[None].repeat(16, 1)
  assert np.abs(image - expected).max() <= (0.04 if extension == '.jpg' else 0)


@pytest.mark.parametrize('extension', ['.png', '.tif', '.webp'])
@pytest.mark.parametrize('mode', ['LA', 'RGBA'])
def test_alpha_is_composited_on_white(tmp_path, extension, mode):
  values = samples(5, 6, len(mode))
  values[0, 0] = 255
  path = save(
    tmp_path / f'a{extension}',
    Image.frombytes(mode, (6, 5), values.tobytes()),
    **({'lossless': True, 'exact': True} if extension == '.webp' else {}),
  )
  colour, alpha = values[..., :-1] / 255, values[..., -1:] / 255
  expected = 2 * (alpha * colour + (1 - alpha)) - 1
  with pytest.warns(UserWarning, match='white') as record:
    image = image_io.read_image(path, channels=len(mode) - 1)
  assert str(path) in str(record[0].message)
  assert record[0].filename == __file__
  np.testing.assert_allclose(image, expected, rtol=0, atol=3e-7)


def test_opaque_alpha_is_silent(tmp_path):
  values = samples(5, 6, 4)
  values[..., -1] = 255
  path = save(tmp_path / 'a.png', values)
  assert_reads(path, to_pixels(values[..., :-1]))


def test_transparent_palette_entry_becomes_white(tmp_path):
  indices = np.array([[0, 1]], np.uint8)
  picture = Image.fromarray(indices).convert('P')
  picture.frombytes(indices.tobytes())
  picture.putpalette([10, 20, 30, 40, 50, 60])
  path = save(tmp_path / 'a.png', picture, transparency=1)
  with pytest.warns(UserWarning, match='white'):
    image = image_io.read_image(path)
  expected = to_pixels([[[10, 20, 30], [255] * 3]])
  np.testing.assert_allclose(image, expected, rtol=0, atol=3e-7)


@pytest.mark.parametrize('orientation', UPRIGHT)
@pytest.mark.parametrize('extension', ['.png', '.tif', '.webp', '.jpg'])
def test_exif_orientation_is_applied(tmp_path, extension, orientation):
  # Blocks of one colour, which JPEG stores without loss but for rounding.
  blocks = np.array([[0, 60, 120], [180, 220, 255]], np.uint8)
  stored = np.kron(blocks, np.ones((16, 16), np.uint8))[..., None].repeat(3, -1)
  exif = Image.Exif()
  exif[ORIENTATION] = orientation
  options = {'.webp': {'lossless': True}, '.jpg': {'quality': 100}}
  path = tmp_path / f'a{extension}'
  save(path, stored, exif=exif, **options.get(extension, {}))
  image = image_io.read_image(path)
  expected = UPRIGHT[orientation](to_pixels(stored))
  assert image.shape == expected.shape
  assert np.abs(image - expected).max() < (
    0.02 if extension == '.jpg' else 1e-6
  )


@pytest.mark.parametrize('extension', ['.png', '.tif', '.webp', '.gif'])
def test_the_first_frame_is_read_with_a_warning(tmp_path, extension):
  # Twenty colours a frame, which the palette of a GIF can hold.
  frames = [samples(4, 5, 3, seed=seed) for seed in range(3)]
  path = tmp_path / f'a{extension}'
  save(
    path,
    frames[0],
    save_all=True,
    append_images=[Image.fromarray(frame) for frame in frames[1:]],
    **({'lossless': True} if extension == '.webp' else {}),
  )
  with pytest.warns(UserWarning, match=r'a\..*first of 3 frames'):
    image = image_io.read_image(path)
  np.testing.assert_allclose(image, to_pixels(frames[0]), rtol=0, atol=3e-7)


def test_a_still_gif_is_read_as_it_is(tmp_path):
  colours = samples(4, 5, 3)
  assert_reads(save(tmp_path / 'a.gif', colours), to_pixels(colours))
  grey = samples(4, 5)
  path = save(tmp_path / 'grey.gif', grey)
  assert_reads(path, to_pixels(grey)[..., None], channels=1)


def test_transparent_gif_becomes_white(tmp_path):
  picture = Image.fromarray(np.array([[0, 1]], np.uint8)).convert('P')
  picture.putpalette([10, 20, 30, 40, 50, 60])
  path = save(tmp_path / 'a.gif', picture, transparency=1)
  with pytest.warns(UserWarning, match='white'):
    image = image_io.read_image(path)
  expected = to_pixels([[[10, 20, 30], [255] * 3]])
  np.testing.assert_allclose(image, expected, rtol=0, atol=3e-7)


def with_tiff_tag(data, tag, value):
  """A little-endian TIFF whose first page has another value of a number."""
  data = bytearray(data)
  (start,) = struct.unpack_from('<I', data, 4)
  (count,) = struct.unpack_from('<H', data, start)
  entries = range(start + 2, start + 2 + 12 * count, 12)
  (entry,) = (e for e in entries if struct.unpack_from('<H', data, e)[0] == tag)
  struct.pack_into('<HHII', data, entry, tag, 4, 1, value)
  return bytes(data)


def tiff_claiming(height, width, *, channels=3, compression=None):
  """A TIFF of 32 x 24 pixels whose header claims another size."""
  buffer = io.BytesIO()
  tifffile.imwrite(
    buffer,
    samples(32, 24, channels, bits=16 if channels == 2 else 8),
    photometric='rgb' if channels == 3 else 'minisblack',
    planarconfig='contig',
    extrasamples=['unassalpha'] if channels == 2 else None,
    compression=compression,
    byteorder='<',
    metadata=None,
  )
  data = with_tiff_tag(buffer.getvalue(), 256, width)
  return with_tiff_tag(data, 257, height)


def png_claiming(height, width):
  buffer = io.BytesIO()
  Image.fromarray(samples(32, 24, 3)).save(buffer, 'PNG')
  data = bytearray(buffer.getvalue())
  struct.pack_into('>II', data, 16, width, height)
  struct.pack_into('>I', data, 29, zlib.crc32(data[12:29]))
  return bytes(data)


def bmp_claiming(height, width):
  buffer = io.BytesIO()
  Image.fromarray(samples(32, 24, 3)).save(buffer, 'BMP')
  data = bytearray(buffer.getvalue())
  struct.pack_into('<ii', data, 18, width, height)
  return bytes(data)


def gif_claiming(height, width):
  buffer = io.BytesIO()
  Image.fromarray(samples(32, 24)).save(buffer, 'GIF')
  data = bytearray(buffer.getvalue())
  struct.pack_into('<HH', data, 6, width, height)
  return bytes(data)


def webp_of_one_colour(height, width):
  buffer = io.BytesIO()
  Image.new('L', (width, height)).save(buffer, 'WEBP', lossless=True)
  return buffer.getvalue()


@pytest.mark.parametrize(
  ('name', 'make'),
  [
    ('wide.tif', lambda: tiff_claiming(32, 2**22 + 24)),
    ('high.tif', lambda: tiff_claiming(2**22 + 32, 24)),
    ('high_by_little.tif', lambda: tiff_claiming(288, 24)),
    ('deflate.tif', lambda: tiff_claiming(2**22 + 32, 24, compression='zlib')),
    ('alpha.tif', lambda: tiff_claiming(2**22 + 32, 24, channels=2)),
    ('wide.png', lambda: png_claiming(32, 2**22 + 24)),
    ('wide.bmp', lambda: bmp_claiming(32, 2**22 + 24)),
    ('both.gif', lambda: gif_claiming(60_000, 60_000)),
    ('large.webp', lambda: webp_of_one_colour(4200, 4200)),
  ],
)
def test_a_size_that_the_file_cannot_hold_is_refused_at_once(
  tmp_path, name, make
):
  path = tmp_path / name
  path.write_bytes(make())
  start = time.monotonic()
  with raises_one_line(path, 'claims|too large|truncated'):
    image_io.read_image(path)
  assert time.monotonic() - start < 0.5


def test_a_large_image_of_one_colour_is_read(tmp_path):
  # Deflate's best ratio, and a format without a bound on the ratio.
  Image.new('1', (4096, 4096), 1).save(tmp_path / 'a.png')
  (tmp_path / 'a.webp').write_bytes(webp_of_one_colour(2048, 4096))
  assert np.all(image_io.read_image(tmp_path / 'a.png', channels=1) == 1)
  assert np.all(image_io.read_image(tmp_path / 'a.webp', channels=1) == -1)


def test_missing_file_and_folder(tmp_path):
  path = tmp_path / 'none.png'
  with raises_one_line(path, 'no file', FileNotFoundError):
    image_io.read_image(path)
  with raises_one_line(tmp_path, 'folder', IsADirectoryError):
    image_io.read_image(tmp_path)


def test_file_without_permission(tmp_path, monkeypatch):
  # As root every file is readable, so the refusal is simulated.
  def refuse(self):
    raise PermissionError(13, 'Permission denied')

  monkeypatch.setattr(pathlib.Path, 'read_bytes', refuse)
  with raises_one_line(tmp_path / 'a.png', 'Permission denied'):
    image_io.read_image(tmp_path / 'a.png')


def test_files_that_are_no_pictures(tmp_path):
  path = tmp_path / 'a.png'
  for content, match in [
    (b'', 'is empty'),
    (b'not a picture\n' * 9, 'expected PNG, JPEG'),
    (b'GIF89a' + bytes(50), 'truncated or corrupt|expected PNG, JPEG'),
  ]:
    path.write_bytes(content)
    with raises_one_line(path, match):
      image_io.read_image(path)


@pytest.mark.parametrize('share', [0.5, 0.9])
@pytest.mark.parametrize('extension', [*LOSSLESS, '.jpg'])
def test_truncated_files(tmp_path, extension, share):
  path = save(tmp_path / f'a{extension}', samples(64, 64, 3))
  data = path.read_bytes()
  path.write_bytes(data[: int(share * len(data))])
  # Without its index, which may be at the end, a TIFF file is nothing.
  match = 'truncated or corrupt|expected PNG, JPEG'
  with warnings.catch_warnings():
    warnings.simplefilter('ignore')  # Pillow also warns of what it misses.
    with raises_one_line(path, match):
      image_io.read_image(path)
