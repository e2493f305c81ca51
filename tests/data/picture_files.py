"""Pictures of known samples, saved and read, for the tests of both."""

import contextlib

import numpy as np
import pytest
from PIL import Image

from internal_diffusion.data import image_io

ORIENTATION = 0x112
# Where the first row and column of the stored picture go (EXIF 2.3, table 6).
UPRIGHT = {
  1: lambda a: a,
  2: lambda a: a[:, ::-1],
  3: lambda a: np.rot90(a, 2),
  4: lambda a: a[::-1],
  5: lambda a: a.swapaxes(0, 1),
  6: lambda a: np.rot90(a, -1),
  7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
  8: lambda a: np.rot90(a, 1),
}


def samples(*shape, bits=8, seed=0):
  """Random samples as files hold them."""
  dtype = np.uint8 if bits == 8 else np.uint16
  return np.random.default_rng(seed).integers(0, 2**bits, shape, dtype)


def to_pixels(values, bits=8):
  """What samples mean, in [-1, 1]."""
  return 2 * np.asarray(values, np.float64) / (2**bits - 1) - 1


def save(path, picture, **options):
  """Saves 8-bit samples, or a picture of Pillow, and returns the path."""
  if isinstance(picture, np.ndarray):
    picture = Image.fromarray(picture)
  picture.save(path, **options)
  return path


def assert_reads(path, expected, **options):
  """Asserts that a file is read as these pixels, but for rounding."""
  image = image_io.read_image(path, **options)
  assert image.dtype == np.float32
  assert image.shape == expected.shape
  np.testing.assert_allclose(image, expected, rtol=0, atol=3e-7)


@contextlib.contextmanager
def raises_one_line(path, match, kind=ValueError):
  """Asserts an error of one line that names the file."""
  with pytest.raises(kind, match=match) as error:
    yield
  assert str(path) in str(error.value)
  assert '\n' not in str(error.value)
