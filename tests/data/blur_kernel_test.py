import numpy as np
import pytest
from scipy import io

from internal_diffusion.data import blur_kernel

KERNEL = np.arange(1, 16).reshape(3, 5) / 120


def test_kernel_of_sum_1_is_left_alone():
  np.testing.assert_allclose(blur_kernel.check_kernel(KERNEL), KERNEL)


def test_kernel_of_another_sum_is_divided_by_it_with_a_warning():
  with pytest.warns(UserWarning, match='has the sum 5 and is divided'):
    kernel = blur_kernel.check_kernel(5 * KERNEL)
  np.testing.assert_allclose(kernel, KERNEL)


def test_centre_of_mass_is_0_at_the_central_pixel():
  point = np.zeros((5, 7))
  point[2, 3] = 1
  assert blur_kernel.centre_of_mass(point) == (0, 0)
  moved = np.roll(point, (1, -2), axis=(0, 1))
  assert blur_kernel.centre_of_mass(moved) == (1, -2)
  assert blur_kernel.centre_of_mass((point + moved) / 2) == (0.5, -1)


@pytest.mark.parametrize(
  ('kernel', 'message'),
  [
    (np.ones((4, 3)) / 12, r'odd sides, got shape \(4, 3\)'),
    (np.ones(3) / 3, r'odd sides, got shape \(3,\)'),
    (np.ones((3, 3, 1)) / 9, 'odd sides'),
    (np.full((3, 3), np.nan), 'finite'),
    (-KERNEL, 'above 0, got -1'),
    (np.zeros((3, 3)), 'above 0, got 0'),
    (KERNEL.astype(complex), 'real numbers, got complex128'),
  ],
)
def test_wrong_kernels_are_refused(kernel, message, tmp_path):
  with pytest.raises(ValueError, match=message):
    blur_kernel.check_kernel(kernel)
  path = tmp_path / 'kernel.npy'
  np.save(path, kernel)
  with pytest.raises(ValueError, match=message):
    blur_kernel.read_kernel(path)


def test_files_hold_the_kernel(tmp_path):
  np.save(tmp_path / 'kernel.npy', KERNEL)
  other = {'name': 'a motion blur', 'factor': 2.0, 'Kernel': KERNEL}
  io.savemat(tmp_path / 'kernel.MAT', other, appendmat=False)
  for name in ('kernel.npy', 'kernel.MAT'):
    read = blur_kernel.read_kernel(tmp_path / name)
    np.testing.assert_allclose(read, KERNEL)


def test_mat_file_without_one_matrix_says_what_it_holds(tmp_path):
  path = tmp_path / 'kernel.mat'
  io.savemat(path, {'near': KERNEL, 'far': KERNEL.T})
  with pytest.raises(
    ValueError, match=r'one matrix.*near \(3, 5\), far \(5, 3'
  ):
    blur_kernel.read_kernel(path)
  io.savemat(path, {'stack': np.ones((3, 3, 2))})
  with pytest.raises(ValueError, match=r'one matrix.*stack \(3, 3, 2\)'):
    blur_kernel.read_kernel(path)
  io.savemat(path, {})
  with pytest.raises(ValueError, match='it holds nothing'):
    blur_kernel.read_kernel(path)


def test_wrong_files_are_refused(tmp_path):
  with pytest.raises(ValueError, match=r'\.npy or \.mat, got .*kernel\.txt'):
    blur_kernel.read_kernel(tmp_path / 'kernel.txt')
  for name in ('kernel.npy', 'kernel.mat'):
    path = tmp_path / name
    with pytest.raises(FileNotFoundError, match='There is no file'):
      blur_kernel.read_kernel(path)
    for content in (b'', b'not a kernel at all', b'\x89HDF\r\n\x1a\n' * 99):
      path.write_bytes(content)
      with pytest.raises(
        ValueError, match=rf'Cannot read a kernel in .*{name}'
      ):
        blur_kernel.read_kernel(path)
