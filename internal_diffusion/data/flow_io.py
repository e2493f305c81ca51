"""Optical flow files.

In memory a flow is float32 [H, W, 2]: pixel (x, y) of the first frame moves to
(x + u, y + v) in the second, in pixels, u to the right and v down. The mask
`valid` [H, W] marks the known vectors; unknown vectors are 0.

The suffix selects one of two formats, both lossless except for rounding:

  .flo: a magic number, width, height, then (u, v) row by row, 32 bits each,
    little endian. A vector is unknown if a component exceeds 1e9 or is not
    finite (Baker et al. 2011, the Middlebury flow benchmark).
  .png: 16-bit RGB (64 u + 2^15, 64 v + 2^15, known), all 0 where unknown: steps
    of 1/64 pixel in [-512, 512) (Geiger et al. 2012, the KITTI benchmark).

References:
  Baker et al. 2011, A database and evaluation methodology for optical flow.
  Geiger et al. 2012, Are we ready for autonomous driving?
"""

import os
import pathlib

import numpy as np
from jax.typing import ArrayLike

from internal_diffusion import files
from internal_diffusion.data import image_decoding, image_encoding

_PathLike = str | os.PathLike[str]

_MAGIC = np.float32(202021.25)  # The bytes 'PIEH'.
_HEADER_BYTES = 12
_MAX_KNOWN = 1e9
_UNKNOWN = np.float32(1e10)
_PNG_STEPS = 64  # Steps a pixel.
_PNG_ZERO = 2**15
_SUFFIXES = ('.flo', '.png')


def read_flow(path: _PathLike) -> tuple[np.ndarray, np.ndarray]:
  """Reads a flow and the mask of its known vectors.

  Args:
    path: Input path, .flo or .png.

  Returns:
    The flow (u, v), float32 [H, W, 2], 0 where unknown; and the mask of known
    vectors, booleans [H, W].

  Raises:
    FileNotFoundError: If there is no such file.
    ValueError: If the file does not hold a flow.
  """
  path = pathlib.Path(path)
  if _suffix(path) == '.flo':
    flow = _decode_flo(path)
    valid = _is_known(flow)
  else:
    samples = image_decoding.read_wide_png(path)
    flow = (samples[..., :2].astype(np.float32) - _PNG_ZERO) / _PNG_STEPS
    valid = samples[..., 2] > 0
  return np.where(valid[..., None], flow, np.float32(0)), valid


def write_flow(
  path: _PathLike, flow: ArrayLike, *, valid: ArrayLike | None = None
) -> None:
  """Writes a flow atomically and creates missing folders.

  Args:
    path: Output path, .flo or .png.
    flow: (u, v), floats [H, W, 2]. A vector with a component that is not finite
      or exceeds 1e9 is written as unknown.
    valid: Mask of the known vectors, booleans [H, W]; None marks all.

  Raises:
    ValueError: If an argument is invalid or a known vector is outside the range
      of the format.
  """
  path = pathlib.Path(path)
  suffix = _suffix(path)
  vectors = np.asarray(flow)
  if vectors.ndim != 3 or vectors.shape[-1] != 2 or not vectors.size:
    raise ValueError(f'`flow` must be [H, W, 2], got shape {vectors.shape}.')
  known = _is_known(vectors)
  if valid is not None:
    if np.shape(valid) != known.shape:
      raise ValueError(
        f'`valid` must have the shape {known.shape} of the flow, got'
        f' {np.shape(valid)}.'
      )
    known &= np.asarray(valid, bool)
  encode = _encode_flo if suffix == '.flo' else _encode_png
  files.write_atomically(path, encode(vectors, known))


def _suffix(path: pathlib.Path) -> str:
  suffix = path.suffix.lower()
  if suffix not in _SUFFIXES:
    raise ValueError(f'`{path}` must end in .flo or .png.')
  return suffix


def _is_known(flow: np.ndarray) -> np.ndarray:
  return np.all(np.abs(flow) <= _MAX_KNOWN, axis=-1)  # False for NaN.


def _decode_flo(path: pathlib.Path) -> np.ndarray:
  data = path.read_bytes()
  if len(data) < _HEADER_BYTES:
    raise ValueError(
      f'`{path}` must begin with a header of {_HEADER_BYTES} bytes, got'
      f' {len(data)} bytes in all.'
    )
  magic = np.frombuffer(data, '<f4', count=1)[0]
  if magic != _MAGIC:
    raise ValueError(
      f'`{path}` must begin with the number {_MAGIC}, got {magic}.'
    )
  width, height = map(int, np.frombuffer(data, '<i4', count=2, offset=4))
  num_bytes = _HEADER_BYTES + 8 * width * height
  if min(width, height) < 1 or len(data) != num_bytes:
    raise ValueError(
      f'`{path}` of width {width} and height {height} must have'
      f' {num_bytes} bytes, got {len(data)}.'
    )
  vectors = np.frombuffer(data, '<f4', offset=_HEADER_BYTES)
  return vectors.astype(np.float32).reshape(height, width, 2)


def _encode_flo(flow: np.ndarray, known: np.ndarray) -> bytes:
  height, width = known.shape
  vectors = np.where(known[..., None], flow, _UNKNOWN).astype('<f4')
  size = np.array([width, height], '<i4')
  return _MAGIC.astype('<f4').tobytes() + size.tobytes() + vectors.tobytes()


def _encode_png(flow: np.ndarray, known: np.ndarray) -> bytes:
  vectors = np.where(known[..., None], flow, 0)
  steps = np.rint(_PNG_STEPS * vectors.astype(np.float64)) + _PNG_ZERO
  if steps.min() < 0 or steps.max() > 2**16 - 1:
    raise ValueError(
      '`flow` must be in [-512, 512) to be written as .png, got'
      f' [{vectors.min():g}, {vectors.max():g}]; write .flo.'
    )
  samples = np.concatenate([steps, np.ones_like(steps[..., :1])], axis=-1)
  samples = np.where(known[..., None], samples, 0).astype(np.uint16)
  return image_encoding.encode(samples, 'PNG')
