"""Blur kernels (point spread functions) and their files.

A kernel is [k, l] with odd sides and sum 1; its origin is the central pixel.
Negative values are allowed: the kernels of resampling have them.
"""

import math
import os
import pathlib
import warnings

import numpy as np

from internal_diffusion.data import matlab_file
from internal_diffusion.data.resampling import cubic_weights

# A smaller difference of the sum from 1 is a rounding error.
_SUM_TOLERANCE = 1e-3


def check_kernel(kernel: np.ndarray) -> np.ndarray:
  """Checks a blur kernel and converts it to float64.

  Args:
    kernel: Numbers [k, l] with odd sides. If their sum is not 1, they are
      divided by it, with a warning.

  Returns:
    The kernel of sum 1, float64 [k, l].

  Raises:
    ValueError: If the shape or the type is wrong, a value is not finite, or the
      sum is not above 0.

  Example:
    >>> check_kernel(np.full((1, 3), 1 / 3)).shape
    (1, 3)
  """
  kernel = np.asarray(kernel)
  if kernel.dtype.kind not in 'fiu':
    raise ValueError(f'`kernel` must hold real numbers, got {kernel.dtype}.')
  if kernel.ndim != 2 or not all(side % 2 for side in kernel.shape):
    raise ValueError(
      f'`kernel` must be [k, l] with odd sides, got shape {kernel.shape}.'
    )
  kernel = kernel.astype(np.float64)
  if not np.all(np.isfinite(kernel)):
    raise ValueError('`kernel` must be finite, got NaN or infinite values.')
  total = float(kernel.sum())
  if total <= 0:
    raise ValueError(f'`kernel` must have a sum above 0, got {total:g}.')
  if not math.isclose(total, 1, abs_tol=_SUM_TOLERANCE):
    warnings.warn(
      f'`kernel` has the sum {total:g} and is divided by it.', stacklevel=2
    )
  return kernel / total


def centre_of_mass(kernel: np.ndarray) -> tuple[float, float]:
  """Displacement (dy, dx) of an image by a kernel of sum 1, in pixels."""
  offsets = [np.arange(side) - side // 2 for side in kernel.shape]
  return (
    float(kernel.sum(axis=1) @ offsets[0]),
    float(kernel.sum(axis=0) @ offsets[1]),
  )


def scale_kernel(
  kernel: np.ndarray, old: tuple[int, int], new: tuple[int, int]
) -> np.ndarray:
  """The kernel at the resolution of another size of the image.

  Args:
    kernel: [k, l] with odd sides.
    old: (height, width) of the image that it blurs.
    new: (height, width) of the same image after resampling.

  Returns:
    The kernel of sum 1, with odd sides, at least as wide as the old one covers.
  """
  for axis in range(2):
    ratio = new[axis] / old[axis]
    half = kernel.shape[axis] // 2
    new_half = int(np.ceil(half * ratio))
    positions = np.arange(-new_half, new_half + 1) / ratio
    padding = [(0, 0), (0, 0)]
    # Zeros around it, since a kernel is 0 beyond its border.
    margin = int(np.ceil(abs(positions).max() + 2 * max(1 / ratio, 1))) - half
    padding[axis] = (margin, margin)
    padded = np.pad(kernel, padding)
    weights = cubic_weights(
      positions + half + margin, padded.shape[axis], width=max(1 / ratio, 1)
    )
    kernel = np.moveaxis(np.tensordot(weights, padded, (1, axis)), 0, axis)
  return kernel / kernel.sum()


def read_kernel(path: str | os.PathLike[str]) -> np.ndarray:
  """Reads a kernel from a .npy file or a MATLAB .mat file (up to version 7).

  Args:
    path: Input path. A .mat file must hold one matrix larger than 1 x 1.

  Returns:
    The kernel, checked by `check_kernel`, float64 [k, l].

  Raises:
    FileNotFoundError: If there is no such file.
    ValueError: If the file cannot be read or does not hold a kernel.
  """
  path = pathlib.Path(path)
  readers = {'.npy': _read_npy, '.mat': _read_mat}
  if path.suffix.lower() not in readers:
    raise ValueError(f'`path` must end in .npy or .mat, got `{path}`.')
  if not path.exists():
    raise FileNotFoundError(f'There is no file `{path}`.')
  try:
    content = readers[path.suffix.lower()](path)
  except Exception as error:  # NumPy's reader raises many types.
    raise ValueError(f'Cannot read a kernel in `{path}`: {error}') from error
  return check_kernel(content)


def _read_npy(path: pathlib.Path) -> np.ndarray:
  return np.load(path, allow_pickle=False)


def _read_mat(path: pathlib.Path) -> np.ndarray:
  """The only matrix of a .mat file."""
  content = matlab_file.read_matrices(path.read_bytes())
  matrices = [
    value for value in content.values() if value.ndim == 2 and value.size > 1
  ]
  if len(matrices) != 1:
    held = ', '.join(f'{n} {v.shape}' for n, v in content.items()) or 'nothing'
    raise ValueError(f'expected one matrix, it holds {held}.')
  return matrices[0]
