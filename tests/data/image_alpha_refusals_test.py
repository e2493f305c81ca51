"""Pictures with alpha that cannot be read or written."""

import numpy as np
import pytest

from internal_diffusion.data import image_decoding, image_io
from tests.data.alpha_files import assert_reads, samples, save_tiff

# What cannot be read.


def test_missing_file_and_folder(tmp_path):
  with pytest.raises(FileNotFoundError, match=r'none\.png'):
    image_io.read_image_with_alpha(tmp_path / 'none.png')
  with pytest.raises(IsADirectoryError, match='folder'):
    image_io.read_image_with_alpha(tmp_path)


def assert_refused(path, match):
  with pytest.raises(ValueError, match=match) as error:
    image_io.read_image_with_alpha(path)
  assert str(path) in str(error.value)
  assert '\n' not in str(error.value)


@pytest.mark.parametrize('content', [b'II*\0', b'MM\0*' + bytes(40), b'text'])
def test_files_that_are_no_pictures(tmp_path, content):
  (tmp_path / 'a.tif').write_bytes(content)
  assert_refused(tmp_path / 'a.tif', r'a\.tif')


@pytest.mark.parametrize('compression', [None, 'zlib'])
@pytest.mark.parametrize('share', [0.3, 0.9])
def test_truncated_tiff(tmp_path, share, compression):
  path = tmp_path / 'a.tif'
  save_tiff(path, samples(40, 30, 2, bits=16), compression=compression)
  data = path.read_bytes()
  path.write_bytes(data[: int(share * len(data))])
  assert_refused(path, r'a\.tif')


@pytest.mark.parametrize(
  'options',
  [
    {'extrasamples': ['assocalpha']},
    {'extrasamples': ['unspecified']},
    {'photometric': 'miniswhite'},
    {'planarconfig': 'separate'},
  ],
)
def test_16_bit_grey_and_something_that_is_not_alpha(tmp_path, options):
  values = samples(5, 7, 2, bits=16)
  if 'planarconfig' in options:
    values = np.moveaxis(values, -1, 0)
    options = options | {'photometric': 'minisblack'}
  path = save_tiff(tmp_path / 'a.tif', values, **options)
  assert_refused(path, 'expected PNG, JPEG')


def test_tiff_too_large_to_be_safe(tmp_path, monkeypatch):
  path = save_tiff(tmp_path / 'a.tif', samples(5, 9, 2, bits=16))
  monkeypatch.setattr(image_decoding, 'MAX_PIXELS', 45)
  assert_reads(path, samples(5, 9, 2, bits=16), 16)
  monkeypatch.setattr(image_decoding, 'MAX_PIXELS', 44)
  assert_refused(path, 'too large')


# What cannot be written.


@pytest.mark.parametrize(
  ('name', 'channels', 'options', 'match'),
  [
    ('a.jpg', 2, {}, r'alpha needs \.png.*\(2, 3, 2\).*a\.jpg'),
    ('a.jpeg', 4, {}, r'alpha needs \.png.*\(2, 3, 4\).*a\.jpeg'),
    ('a.bmp', 2, {}, r'alpha needs \.png.*a\.bmp'),
    ('a.bmp', 4, {}, r'alpha needs \.png.*a\.bmp'),
    ('a.webp', 4, {'bit_depth': 16}, r'16 needs.*a\.webp'),
    ('a.png', 5, {}, r'C = 1 to 4.*\(2, 3, 5\)'),
    ('a.png', 0, {}, r'C = 1 to 4.*\(2, 3, 0\)'),
  ],
)
def test_bad_pictures_leave_no_trace(tmp_path, name, channels, options, match):
  image = np.zeros((2, 3, channels))
  with pytest.raises(ValueError, match=match):
    image_io.write_image(tmp_path / 'folder' / name, image, **options)
  assert not list(tmp_path.iterdir())


def test_alpha_is_for_files_only():
  for channels in (2, 4):
    with pytest.raises(ValueError, match='C = 1 or 3'):
      image_io.check_image(np.zeros((2, 3, channels)))
    with pytest.raises(ValueError, match='C = 1 or 3'):
      image_io.make_grid(np.zeros((1, 2, 3, channels)))
