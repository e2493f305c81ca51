"""Masks of missing pixels, from files of every kind."""

import numpy as np
import pytest
from PIL import Image

from internal_diffusion.data import masks

pytestmark = pytest.mark.filterwarnings('error')

MASK = np.random.default_rng(0).random((9, 14)) < 0.3


def save(path, *, mode='L'):
  """Writes `MASK` in a mode of Pillow, white is missing."""
  picture = Image.fromarray(np.where(MASK, 255, 0).astype(np.uint8))
  picture.convert(mode).save(path)
  return path


@pytest.mark.parametrize('mode', ['1', 'L', 'P', 'RGB', 'LA', 'RGBA', 'I;16'])
def test_white_is_missing_in_every_mode(tmp_path, mode):
  path = tmp_path / 'mask.png'
  if mode == 'I;16':
    Image.fromarray(np.where(MASK, 65535, 0).astype(np.uint16)).save(path)
  else:
    save(path, mode=mode)
  np.testing.assert_array_equal(masks.read_mask(path, MASK.shape), MASK)


def test_the_alpha_channel_is_the_mask_where_there_is_one(tmp_path):
  painted = np.zeros((*MASK.shape, 4), np.uint8)
  painted[MASK] = (200, 30, 30, 255)
  Image.fromarray(painted).save(tmp_path / 'mask.png')
  found = masks.read_mask(tmp_path / 'mask.png', MASK.shape)
  np.testing.assert_array_equal(found, MASK)


def test_grey_is_what_it_is_nearer_to(tmp_path):
  values = np.array([[0, 127, 128, 255]], np.uint8)
  Image.fromarray(values).save(tmp_path / 'mask.png')
  found = masks.read_mask(tmp_path / 'mask.png', (1, 4))
  assert found.tolist() == [[False, False, True, True]]


def test_grey_of_a_soft_mask_is_a_share(tmp_path):
  values = np.array([[0, 51, 255, 255]], np.uint8)
  Image.fromarray(values).save(tmp_path / 'mask.png')
  found = masks.read_soft_mask(tmp_path / 'mask.png', (1, 4))
  np.testing.assert_allclose(found, [[0, 0.2, 1, 1]], atol=1e-6)


def test_another_size_is_resized_and_said(tmp_path):
  path = save(tmp_path / 'mask.png')
  with pytest.warns(UserWarning, match='resized from 9x14 to 18x28'):
    found = masks.read_mask(path, (18, 28))
  np.testing.assert_array_equal(found, MASK.repeat(2, 0).repeat(2, 1))
  with pytest.warns(UserWarning, match='resized'):
    assert masks.read_mask(path, (5, 40)).shape == (5, 40)


@pytest.mark.parametrize(('value', 'word'), [(0, 'black'), (255, 'white')])
def test_all_or_nothing_missing_is_an_error(tmp_path, value, word):
  Image.new('L', (5, 4), value).save(tmp_path / 'mask.png')
  with pytest.raises(
    masks.UniformMaskError, match=f'`mask`.*{word} everywhere'
  ) as error:
    masks.read_mask(tmp_path / 'mask.png', (4, 5))
  assert error.value.colour == word


@pytest.mark.parametrize('mask', [MASK[:5], MASK.astype(int), MASK[..., None]])
def test_wrong_arrays_are_refused(mask):
  with pytest.raises(ValueError, match=r'`mask` must be bool \[9, 14\]'):
    masks.check_mask(mask, MASK.shape)
  assert masks.check_mask(MASK, MASK.shape) is MASK


def test_a_missing_file_is_named(tmp_path):
  with pytest.raises(FileNotFoundError, match=r'no\.png'):
    masks.read_mask(tmp_path / 'no.png', (4, 5))
