"""Coefficients of JPEG files against Pillow's pixels."""

import io
import re

import numpy as np
import pytest
import scipy.fft
from PIL import Image
from skimage import data

from internal_diffusion.data import jpeg_decoder

# Integer transforms of decoders are wrong by less than this beside rounding.
ROUNDING = 0.65


def encode(pixels, **options):
  buffer = io.BytesIO()
  Image.fromarray(pixels).save(buffer, 'JPEG', **options)
  return buffer.getvalue()


def pixels_of(plane, size):
  """The plane that a decoder makes, cut to a size, not rounded."""
  values = plane.levels.astype(float) * plane.steps
  blocks = scipy.fft.idctn(values, axes=(2, 3), norm='ortho') + 128
  rows, columns = plane.levels.shape[:2]
  whole = blocks.transpose(0, 2, 1, 3).reshape(8 * rows, 8 * columns)
  return np.clip(whole[: size[0], : size[1]], 0, 255)


def stored_planes(content):
  """Pillow's Y, Cb, Cr [H, W, C] without conversion to RGB."""
  image = Image.open(io.BytesIO(content))
  image.draft('L' if image.mode == 'L' else 'YCbCr', image.size)
  return np.atleast_3d(np.asarray(image, float))


@pytest.fixture(scope='module')
def photograph():
  return data.astronaut()[:101, 150:227]


@pytest.mark.parametrize('progressive', [False, True])
@pytest.mark.parametrize('quality', [5, 60, 100])
@pytest.mark.parametrize('subsampling', ['4:4:4', '4:2:2', '4:2:0'])
def test_luma_is_the_pixels_of_another_decoder(
  photograph, subsampling, quality, progressive
):
  content = encode(
    photograph,
    subsampling=subsampling,
    quality=quality,
    progressive=progressive,
  )
  stored = jpeg_decoder.decode(content)
  assert stored.size == (101, 77)
  assert stored.is_ycbcr
  wanted = stored_planes(content)
  found = pixels_of(stored.planes[0], stored.size)
  assert np.abs(found - wanted[..., 0]).max() < ROUNDING
  if subsampling == '4:4:4':
    for index in (1, 2):
      found = pixels_of(stored.planes[index], stored.size)
      assert np.abs(found - wanted[..., index]).max() < ROUNDING


@pytest.mark.parametrize('progressive', [False, True])
def test_grey_and_restart_markers(photograph, progressive):
  for options in ({}, {'restart_marker_blocks': 3}):
    content = encode(
      photograph[..., 1], quality=80, progressive=progressive, **options
    )
    stored = jpeg_decoder.decode(content)
    assert len(stored.planes) == 1
    found = pixels_of(stored.planes[0], stored.size)
    wanted = stored_planes(content)[..., 0]
    assert np.abs(found - wanted).max() < ROUNDING


def test_progressive_and_sequential_files_hold_the_same(photograph):
  first, second = (
    jpeg_decoder.decode(encode(photograph, progressive=progressive))
    for progressive in (False, True)
  )
  for one, other in zip(first.planes, second.planes, strict=True):
    np.testing.assert_array_equal(one.levels, other.levels)
    np.testing.assert_array_equal(one.steps, other.steps)


def test_subsampled_planes_are_those_of_a_small_picture(photograph):
  # A picture of large squares of one colour: a mean over pixels is the colour.
  colours = np.random.default_rng(0).integers(0, 256, (6, 6, 3), np.uint8)
  large = np.repeat(np.repeat(colours, 16, 0), 16, 1)
  content = encode(large, quality=100, subsampling='4:2:0')
  stored = jpeg_decoder.decode(content)
  assert [p.factor for p in stored.planes] == [(1, 1), (2, 2), (2, 2)]
  ycbcr = np.asarray(Image.fromarray(colours).convert('YCbCr'), float)
  for index in (1, 2):
    found = pixels_of(stored.planes[index], (48, 48))[4::8, 4::8]
    assert np.abs(found - ycbcr[..., index]).max() <= 2


def change_header(content, sampling, size):
  """The file with another sampling of luma and another size."""
  frame = re.search(rb'\xff\xc0\x00\x11\x08', content).end()
  changed = bytearray(content)
  changed[frame : frame + 2] = size[0].to_bytes(2, 'big')
  changed[frame + 2 : frame + 4] = size[1].to_bytes(2, 'big')
  changed[frame + 6] = 16 * sampling[1] + sampling[0]
  return bytes(changed)


@pytest.mark.parametrize(
  ('subsampling', 'size', 'sampling', 'new_size'),
  [
    ('4:2:2', (64, 32), (2, 1), (64, 32)),
    ('4:2:0', (64, 32), (1, 4), (32, 64)),
  ],
)
def test_rarer_subsamplings(photograph, subsampling, size, sampling, new_size):
  # No encoder at hand makes 4:4:0 and 4:1:1. But a group of blocks has as many
  # blocks in 4:2:2 and 4:2:0, so a changed header makes a valid file, whose
  # blocks lie elsewhere.
  content = encode(photograph[: size[0], : size[1]], subsampling=subsampling)
  content = change_header(content, sampling, new_size)
  stored = jpeg_decoder.decode(content)
  assert stored.planes[0].factor == (1, 1)
  assert stored.planes[1].factor == sampling
  found = pixels_of(stored.planes[0], stored.size)
  wanted = stored_planes(content)[..., 0]
  assert np.abs(found - wanted).max() < ROUNDING


def test_planes_of_rgb_are_not_taken_for_luma(photograph):
  content = encode(photograph, keep_rgb=True)
  stored = jpeg_decoder.decode(content)
  assert not stored.is_ycbcr
  wanted = np.asarray(Image.open(io.BytesIO(content)), float)
  found = pixels_of(stored.planes[2], stored.size)
  assert np.abs(found - wanted[..., 2]).max() < ROUNDING


def test_what_is_no_jpeg_is_refused():
  with pytest.raises(ValueError, match='not a JPEG'):
    jpeg_decoder.decode(b'\x89PNG....')


def test_kinds_that_cannot_be_read_are_refused(photograph):
  content = encode(photograph)
  lossless = content.replace(b'\xff\xc0', b'\xff\xc3')
  with pytest.raises(ValueError, match='Huffman coding with 8 bits'):
    jpeg_decoder.decode(lossless)
  cmyk = io.BytesIO()
  Image.fromarray(photograph).convert('CMYK').save(cmyk, 'JPEG')
  with pytest.raises(ValueError, match='one or three planes'):
    jpeg_decoder.decode(cmyk.getvalue())
  with pytest.raises(ValueError, match='its sampling'):
    jpeg_decoder.decode(change_header(content, (0, 1), (101, 77)))


@pytest.mark.parametrize('progressive', [False, True])
def test_every_truncated_file_is_refused(photograph, progressive):
  content = encode(photograph[:40, :40], progressive=progressive)
  for length in range(2, len(content) - 1, 29):
    with pytest.raises(ValueError, match=r'truncated|corrupt'):
      jpeg_decoder.decode(content[:length])


@pytest.mark.parametrize('progressive', [False, True])
def test_corrupt_files_raise_no_other_error(photograph, progressive):
  content = encode(photograph[:40, :40], progressive=progressive)
  rng = np.random.default_rng(0)
  num_refused = 0
  for _ in range(50):
    changed = bytearray(content)
    for position in rng.integers(2, len(content), 3):
      changed[position] = rng.integers(256)
    # Most changes are of levels, and make another valid file.
    try:
      decoded = jpeg_decoder.decode(bytes(changed))
    except ValueError:
      num_refused += 1
    else:
      assert all(plane.steps.shape == (8, 8) for plane in decoded.planes)
  assert 0 < num_refused < 50
