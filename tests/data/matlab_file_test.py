"""MATLAB's files: as SciPy writes them, and damaged ones."""

import io

import numpy as np
import pytest
import scipy.io

from internal_diffusion.data import matlab_file


def written(content, **options):
  buffer = io.BytesIO()
  scipy.io.savemat(buffer, content, **options)
  return buffer.getvalue()


@pytest.mark.parametrize(
  'options', [{}, {'do_compression': True}, {'format': '4'}]
)
@pytest.mark.parametrize('kind', ['f8', 'f4', 'i4', 'u1', 'i2', 'u2'])
def test_matrices_as_scipy_writes_them(options, kind):
  first = np.arange(15).reshape(3, 5).astype(kind)
  second = np.array([[7.5, -2.0]])
  found = matlab_file.read_matrices(
    written({'a': first, 'second': second}, **options)
  )
  assert list(found) == ['a', 'second']
  np.testing.assert_array_equal(found['a'], first)
  np.testing.assert_array_equal(found['second'], second)


def test_what_is_no_matrix_of_real_numbers_is_left_out():
  content = {
    'text': 'abc',
    'cell': np.array([1, 'a'], object),
    'complex': np.array([[1j, 2]]),
    'kernel': np.eye(3),
    'cube': np.zeros((2, 3, 4)),
  }
  found = matlab_file.read_matrices(written(content))
  assert set(found) == {'kernel', 'cube'}
  assert found['cube'].shape == (2, 3, 4)


@pytest.mark.parametrize('data', [b'no', b'x' * 200])
def test_other_files(data):
  with pytest.raises(ValueError, match=r'\.mat file of version'):
    matlab_file.read_matrices(data)


def test_a_matrix_that_unpacks_to_too_much_is_refused(monkeypatch):
  data = written({'a': np.zeros((100, 100))}, do_compression=True)
  monkeypatch.setattr(matlab_file, '_MAX_BYTES', 1000)
  with pytest.raises(ValueError, match='more than 1000 bytes'):
    matlab_file.read_matrices(data)
