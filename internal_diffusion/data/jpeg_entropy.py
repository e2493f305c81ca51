"""Huffman decoding of the scans of a JPEG file (ITU-T T.81, annexes F and G).

A code has at most 16 bits, so a table of 2^16 entries has the next symbol and
the length of its code for whatever 16 bits follow: 256 * length + symbol, or 0
where no code begins so. `make_windows` gives the 32 bits that follow each bit
of a scan: enough for a code and the number after it.

A sequential file has one scan for each plane, or for several. A progressive one
has many: first the high bits of a band of coefficients, then one bit more each.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

Blocks = Sequence[tuple[int, int]]


class Scan(NamedTuple):
  """Tables and parameters of one scan.

  Attributes:
    dc_tables: Huffman table of the first coefficient, for each plane.
    ac_tables: Huffman table of the others, for each plane.
    first: Zigzag index of the first coefficient (Ss in T.81).
    last: Zigzag index of the last one (Se).
    high: Number of lowest bits that earlier scans left out (Ah); 0 for none.
    low: Number of lowest bits that this scan leaves out (Al).
  """

  dc_tables: list[list[int]]
  ac_tables: list[list[int]]
  first: int
  last: int
  high: int
  low: int


def make_table(counts: np.ndarray, symbols: np.ndarray) -> list[int]:
  """The table of a Huffman code.

  Args:
    counts: Number of codes of each length 1 ... 16, [16].
    symbols: Their symbols in the order of the codes, [N] uint8.

  Returns:
    256 * length + symbol for all 16 bits that may follow, or 0.

  Raises:
    ValueError: If there are too many codes.
  """
  lengths = np.repeat(np.arange(1, 17), counts)
  if len(lengths) != len(symbols):
    raise ValueError('its Huffman table is corrupt.')
  entries = np.repeat(256 * lengths + symbols, 1 << (16 - lengths))
  if len(entries) > 1 << 16:
    raise ValueError('its Huffman table is corrupt.')
  return np.pad(entries, (0, (1 << 16) - len(entries))).tolist()


def make_windows(data: bytes) -> memoryview:
  """The 32 bits that begin at each bit; zeros follow the data."""
  padded = np.frombuffer(data + bytes(16), np.uint8).astype(np.uint64)
  num_bytes = len(padded) - 4
  word = np.zeros(num_bytes, np.uint64)
  for index in range(5):
    word = (word << np.uint64(8)) | padded[index : index + num_bytes]
  windows = np.empty((num_bytes, 8), np.uint32)
  for bit in range(8):
    windows[:, bit] = (word >> np.uint64(8 - bit)).astype(np.uint32)
  return windows.ravel().data


def _extend(bits: int, size: int) -> int:
  """The signed number of `size` bits (T.81, F.2.2.1)."""
  return bits if bits >> (size - 1) else bits - (1 << size) + 1


def _corrupt() -> ValueError:
  return ValueError('its entropy-coded data are corrupt.')


def decode_sequential(
  windows: memoryview, blocks: Blocks, levels: Sequence[Any], scan: Scan
) -> int:
  """All coefficients of the blocks of a scan (T.81, F.2.2); bits used."""
  position = 0
  previous = [0] * len(levels)
  for plane, offset in blocks:
    target, table = levels[plane], scan.dc_tables[plane]
    index = 0
    while index < 64:
      window = windows[position]
      entry = table[window >> 16]
      if not entry:
        raise _corrupt()
      length, symbol = entry >> 8, entry & 255
      size = symbol & 15
      value = 0
      if size:
        bits = (window >> (32 - length - size)) & ((1 << size) - 1)
        value = bits if bits >> (size - 1) else bits - (1 << size) + 1
      position += length + size
      if index == 0:
        previous[plane] += value
        target[offset] = previous[plane]
        table = scan.ac_tables[plane]
      elif size:
        index += symbol >> 4
        if index > 63:
          raise _corrupt()
        target[offset + index] = value
      elif symbol == 0xF0:
        index += 15
      else:
        break
      index += 1
  return position


def decode_dc(
  windows: memoryview, blocks: Blocks, levels: Sequence[Any], scan: Scan
) -> int:
  """High bits of the first coefficients (T.81, G.1.2.1); bits used."""
  position = 0
  previous = [0] * len(levels)
  for plane, offset in blocks:
    window = windows[position]
    entry = scan.dc_tables[plane][window >> 16]
    if not entry:
      raise _corrupt()
    length, size = entry >> 8, entry & 15
    if size:
      bits = (window >> (32 - length - size)) & ((1 << size) - 1)
      previous[plane] += _extend(bits, size)
    levels[plane][offset] = previous[plane] << scan.low
    position += length + size
  return position


def refine_dc(
  windows: memoryview, blocks: Blocks, levels: Sequence[Any], scan: Scan
) -> int:
  """One more bit of the first coefficients; bits used."""
  for position, (plane, offset) in enumerate(blocks):
    levels[plane][offset] |= (windows[position] >> 31) << scan.low
  return len(blocks)


def decode_ac(
  windows: memoryview, blocks: Blocks, levels: Sequence[Any], scan: Scan
) -> int:
  """High bits of a band of coefficients (T.81, G.1.2.2); bits used."""
  position, num_empty = 0, 0
  target, table = levels[0], scan.ac_tables[0]
  for _, offset in blocks:
    if num_empty:
      num_empty -= 1
      continue
    index = scan.first
    while index <= scan.last:
      window = windows[position]
      entry = table[window >> 16]
      if not entry:
        raise _corrupt()
      length, run, size = entry >> 8, (entry & 255) >> 4, entry & 15
      position += length
      if size:
        index += run
        if index > 63:
          raise _corrupt()
        bits = (window >> (32 - length - size)) & ((1 << size) - 1)
        target[offset + index] = _extend(bits, size) << scan.low
        position += size
      elif run < 15:
        # This block ends here, and so many more are empty.
        bits = (window >> (32 - length - run)) & ((1 << run) - 1)
        num_empty = (1 << run) - 1 + bits
        position += run
        break
      else:
        index += 15
      index += 1
  return position


def refine_ac(
  windows: memoryview, blocks: Blocks, levels: Sequence[Any], scan: Scan
) -> int:
  """One more bit of a band of coefficients (T.81, G.1.2.3); bits used."""
  position, num_empty = 0, 0
  target, table, unit = levels[0], scan.ac_tables[0], 1 << scan.low
  for _, offset in blocks:
    index, end = offset + scan.first, offset + scan.last
    while index <= end and not num_empty:
      window = windows[position]
      entry = table[window >> 16]
      if not entry:
        raise _corrupt()
      length, run, size = entry >> 8, (entry & 255) >> 4, entry & 15
      position += length
      new = 0
      if size:
        new = unit if windows[position] >> 31 else -unit
        position += 1
      elif run < 15:
        bits = (window >> (32 - length - run)) & ((1 << run) - 1)
        num_empty = (1 << run) + bits
        position += run
        break
      # Coefficients that are not 0 already have a bit each on the way.
      while index <= end:
        if target[index]:
          if windows[position] >> 31:
            target[index] += unit if target[index] > 0 else -unit
          position += 1
        elif run:
          run -= 1
        else:
          break
        index += 1
      if new and index <= end:
        target[index] = new
      index += 1
    if num_empty:
      for rest in range(index, end + 1):
        if target[rest]:
          if windows[position] >> 31:
            target[rest] += unit if target[rest] > 0 else -unit
          position += 1
      num_empty -= 1
  return position
