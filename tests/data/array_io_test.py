"""Pictures in .npy files."""

import numpy as np
import pytest

from internal_diffusion.data import array_io


def save(path, values):
  np.save(path, values)
  return path


@pytest.mark.parametrize('dtype', [np.float16, np.float32, np.float64])
@pytest.mark.parametrize('shape', [(4, 5), (4, 5, 1), (4, 5, 3), (4, 5, 4)])
def test_floats_are_shifted_and_not_clipped(tmp_path, dtype, shape):
  values = np.random.default_rng(0).random(shape).astype(dtype)
  if shape[-1] != 4:  # Where the last channel is alpha.
    values[0, 0], values[0, 1] = 1.5, -1
  found = array_io.read_array(save(tmp_path / 'a.npy', values))
  assert found.dtype == np.float32
  np.testing.assert_allclose(
    found.reshape(shape), 2 * values.astype(np.float32) - 1, atol=1e-6
  )


@pytest.mark.parametrize(
  ('values', 'words'),
  [
    (np.zeros((4, 5), np.uint8), 'uint8.*255'),
    (np.zeros((4, 5), complex), 'complex'),
    (np.zeros(5), 'shape'),
    (np.zeros((4, 5, 5)), 'shape'),
    (np.zeros((4, 0)), 'pixels'),
    (np.full((4, 5), np.nan), 'finite'),
    (np.full((4, 5), np.inf), 'finite'),
    (np.full((4, 5, 2), [0, np.nan]), 'alpha'),
    (np.full((4, 5), 128.0), 'divide'),
    (np.full((4, 5, 2), 1.5), 'alpha'),
    (np.array([[None]]), 'Cannot read'),
  ],
)
def test_wrong_arrays_are_named(tmp_path, values, words):
  path = save(tmp_path / 'a.npy', values)
  with pytest.raises(ValueError, match=words) as caught:
    array_io.read_array(path)
  assert 'a.npy' in str(caught.value)


def test_nan_is_kept(tmp_path):
  values = np.full((4, 5), 0.5)
  values[1, 2] = np.nan
  found = array_io.read_array(save(tmp_path / 'a.npy', values))
  np.testing.assert_array_equal(np.isnan(found[..., 0]), np.isnan(values))


def test_a_missing_or_damaged_file_is_named(tmp_path):
  with pytest.raises(FileNotFoundError, match=r'no\.npy'):
    array_io.read_array(tmp_path / 'no.npy')
  (tmp_path / 'bad.npy').write_bytes(b'nothing')
  with pytest.raises(ValueError, match=r'bad\.npy'):
    array_io.read_array(tmp_path / 'bad.npy')
