"""Matrices of real numbers in MATLAB's .mat files, versions 4 and 5 to 7.

SciPy's reader ends the whole process on some damaged files, so this one reads
what a kernel needs and checks every length against the bytes there are. Cells,
structures, text, sparse and complex matrices are left out.

Source: MathWorks, MAT-File Format; Level 4 and Level 5.
"""

import math
import struct
import zlib
from collections.abc import Iterator

import numpy as np

_HEADER_BYTES = 128
_MATRIX, _COMPRESSED = 14, 15
# Types of stored numbers; classes of matrices, which are what they become.
_STORED = {
  1: 'b', 2: 'B', 3: 'h', 4: 'H', 5: 'i', 6: 'I', 7: 'f', 9: 'd',
  12: 'q', 13: 'Q',
}  # fmt: skip
_CLASSES = range(6, 16)  # double, single, and eight kinds of integers.
_COMPLEX_FLAG = 0x800
_LEVEL_4 = dict(enumerate(('d', 'f', 'i', 'h', 'H', 'B')))
_LEVEL_4_HEADER = 20
_MAX_BYTES = 2**24  # Of a compressed matrix, as kernels are small.


def read_matrices(data: bytes) -> dict[str, np.ndarray]:
  """The matrices of a file by name.

  Args:
    data: Content of the file.

  Returns:
    Arrays of real numbers, [rows, columns, ...].

  Raises:
    ValueError: If the file is damaged or of another version.
  """
  mark = data[126:128]
  if len(data) >= _HEADER_BYTES and mark in (b'IM', b'MI'):
    order = '<' if mark == b'IM' else '>'
    return dict(_level_5(data[_HEADER_BYTES:], order))
  return dict(_level_4(data))


def _level_5(data: bytes, order: str) -> Iterator[tuple[str, np.ndarray]]:
  for kind, content in _elements(data, order):
    if kind == _COMPRESSED:
      unpacked = zlib.decompressobj()
      try:
        content = unpacked.decompress(content, _MAX_BYTES)
      except zlib.error as error:
        raise ValueError(f'a matrix cannot be unpacked: {error}') from error
      if unpacked.unconsumed_tail:
        raise ValueError(f'a matrix has more than {_MAX_BYTES} bytes')
      yield from _level_5(content, order)
    elif kind == _MATRIX and content:
      found = _matrix(content, order)
      if found is not None:
        yield found


def _elements(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
  """Types and contents of the data elements that follow each other."""
  at = 0
  while at + 8 <= len(data):
    kind, length = struct.unpack(f'{order}II', data[at : at + 8])
    if kind >> 16:  # Up to four bytes, inside of the tag.
      kind, length, start = kind & 0xFFFF, kind >> 16, at + 4
      at += 8
      limit = 4
    else:
      start = at + 8
      # Compressed elements are not padded to eight bytes.
      at = start + (length if kind == _COMPRESSED else -(-length // 8) * 8)
      limit = len(data) - start
    if length > limit:
      raise ValueError(f'it is truncated: {length} bytes should follow')
    yield kind, data[start : start + length]


def _matrix(content: bytes, order: str) -> tuple[str, np.ndarray] | None:
  """Name and values of a matrix, None if it is not of real numbers."""
  parts = list(_elements(content, order))
  if len(parts) < 4 or len(parts[0][1]) < 4:
    return None
  (flags,) = struct.unpack(f'{order}I', parts[0][1][:4])
  if flags & 0xFF not in _CLASSES or flags & _COMPLEX_FLAG:
    return None
  shape = _numbers(*parts[1], order)
  name = parts[2][1].decode('ascii', errors='replace')
  return name, _shaped(_numbers(*parts[3], order), shape)


def _numbers(kind: int, content: bytes, order: str) -> np.ndarray:
  if kind not in _STORED:
    raise ValueError(f'a matrix has numbers of the unknown type {kind}')
  dtype = np.dtype(f'{order}{_STORED[kind]}')
  if len(content) % dtype.itemsize:
    raise ValueError('a matrix ends in the middle of a number')
  return np.frombuffer(content, dtype)


def _level_4(data: bytes) -> Iterator[tuple[str, np.ndarray]]:
  at = 0
  while at < len(data):
    if len(data) - at < _LEVEL_4_HEADER:
      raise ValueError('it is no .mat file of version 4 to 7')
    order = '<' if struct.unpack('<I', data[at : at + 4])[0] < 10_000 else '>'
    kind, rows, columns, is_complex, length = struct.unpack(
      f'{order}5I', data[at : at + _LEVEL_4_HEADER]
    )
    precision, content = kind // 10 % 10, kind % 10
    if kind >= 5000 or kind // 100 % 10 or precision not in _LEVEL_4:
      raise ValueError('it is no .mat file of version 4 to 7')
    dtype = np.dtype(f'{order}{_LEVEL_4[precision]}')
    start = at + _LEVEL_4_HEADER + length
    part = rows * columns * dtype.itemsize
    at = start + part * (2 if is_complex else 1)
    if at > len(data):
      raise ValueError(f'it is truncated: {at} bytes should be there')
    name = data[start - length : start].rstrip(b'\0')
    if not content and not is_complex:
      values = np.frombuffer(data[start : start + part], dtype)
      yield (
        name.decode('ascii', errors='replace'),
        _shaped(values, np.array([rows, columns])),
      )


def _shaped(values: np.ndarray, shape: np.ndarray) -> np.ndarray:
  """The values, which are stored column by column, in their shape."""
  sides = [int(side) for side in shape]
  if len(sides) < 2 or min(sides) < 0 or math.prod(sides) != values.size:
    raise ValueError(f'a matrix of shape {sides} has {values.size} values')
  native = values.astype(values.dtype.newbyteorder('='))
  return native.reshape(sides, order='F')
