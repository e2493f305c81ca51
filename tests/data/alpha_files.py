"""Pictures with alpha of known samples, saved and read, for tests."""

import numpy as np
import tifffile
from PIL import Image

from internal_diffusion.data import image_io
from tests.data.picture_files import to_pixels


def samples(*shape, bits=8, seed=0):
  """Random samples whose first pixel is coloured and clear."""
  dtype = np.uint8 if bits == 8 else np.uint16
  values = np.random.default_rng(seed).integers(0, 2**bits, shape, dtype)
  if shape[-1] in (2, 4):
    values[0, 0, -1] = 0
  return values


def save(path, mode, values, **options):
  """Writes a file by Pillow."""
  height, width = values.shape[:2]
  picture = Image.frombytes(mode, (width, height), values.tobytes())
  picture.save(path, **options)
  return path


def save_tiff(path, values, **options):
  """Writes a TIFF by tifffile, with alpha in the last of 2 or 4 channels."""
  defaults = {
    'photometric': 'minisblack' if values.shape[-1] == 2 else 'rgb',
    'planarconfig': 'contig',
    'extrasamples': ['unassalpha'],
  }
  tifffile.imwrite(path, values, **(defaults | options))
  return path


def assert_reads(path, values, bits):
  image, bit_depth = image_io.read_image_with_alpha(path)
  assert bit_depth == bits
  assert image.dtype == np.float32
  assert image.shape == values.shape
  np.testing.assert_allclose(image, to_pixels(values, bits), rtol=0, atol=3e-7)
