"""The quantised coefficients of a JPEG file, exactly as they are stored.

A JPEG file (ITU-T T.81) holds, for each plane of a picture, a whole number for
each coefficient of the discrete cosine transform of each block of 8 x 8 pixels.
Decoders turn them into pixels at once, and rounding, clipping and interpolation
of the colour planes then hide them. Here only the entropy coding is undone.

Sequential and progressive Huffman coding with 8 bits a sample are read, which
is what cameras and programs write. Pillow gives pixels only. Of the libraries
that give coefficients, `jpegio` is no longer maintained and `jpeglib` brings 23
MB of codecs (2026), so that two short files were the lighter choice.

`data.jpeg_entropy` decodes the scans.
"""

import array
import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from internal_diffusion.data import jpeg_entropy

Size = tuple[int, int]

# Bytes after 0xFF.
_SOI, _EOI, _SOS, _DQT, _DHT, _DRI = 0xD8, 0xD9, 0xDA, 0xDB, 0xC4, 0xDD
_APP0, _APP14 = 0xE0, 0xEE
_FRAMES = (0xC0, 0xC1, 0xC2)  # Baseline, extended, progressive.
_PROGRESSIVE = 0xC2
_OTHER_FRAMES = {
  0xC3,
  *range(0xC5, 0xC8),
  *range(0xC9, 0xCC),
  *range(0xCD, 0xD0),
}
_SCAN_END = re.compile(rb'\xff+[^\x00\xd0-\xd7\xff]')
_RESTART = re.compile(rb'\xff[\xd0-\xd7]')


def _natural_order() -> np.ndarray:
  """Zigzag index of each coefficient in rows of frequencies (T.81, fig. 5)."""
  rows, columns = np.indices((8, 8)).reshape(2, -1)
  diagonal = rows + columns
  along = np.where(diagonal % 2, rows, columns)
  order = np.lexsort((along, diagonal))
  return np.argsort(order)


_NATURAL = _natural_order()


class StoredPlane(NamedTuple):
  """One plane of a JPEG file.

  Attributes:
    levels: Quantised coefficients [R, C, 8, 8] int16 of the blocks that have
      pixels of the picture; the last axes are vertical and horizontal
      frequency.
    steps: Quantisation steps [8, 8], in grey levels of 255 for an orthonormal
      cosine transform.
    factor: How many rows and columns of the picture one of the plane covers.
  """

  levels: np.ndarray
  steps: np.ndarray
  factor: Size


class StoredJpeg(NamedTuple):
  """The content of a JPEG file.

  Attributes:
    size: Height and width of the picture as stored, before any turn that its
      EXIF orientation asks for.
    planes: One for grey; three of YCbCr, or of RGB.
    is_ycbcr: Whether three planes are luma and colour differences.
  """

  size: Size
  planes: tuple[StoredPlane, ...]
  is_ycbcr: bool


class _Component:
  """A plane while its scans are decoded.

  Attributes:
    sampling: Blocks of a group of planes, (vertical, horizontal).
    shape: Rows and columns of blocks that have pixels of the picture.
    groups: Rows and columns of groups; their last ones may have more blocks.
    levels: Coefficients of all blocks in zigzag order, one after the other.
    table: Index of its quantisation table.
    steps: Quantisation steps in zigzag order; None before its first scan.
  """

  def __init__(self, sampling: Size, table: int) -> None:
    self.sampling = sampling
    self.table = table
    self.shape = self.groups = (0, 0)
    self.levels: Any = None
    self.steps: np.ndarray | None = None

  def allocate(self, size: Size, finest: Size) -> None:
    """Makes room for a picture; `finest` is the largest sampling of a plane."""
    height, width = (math.ceil(size[i] / (8 * finest[i])) for i in range(2))
    self.groups = height, width
    rows, columns = (
      math.ceil(size[i] * self.sampling[i] / (8 * finest[i])) for i in range(2)
    )
    self.shape = rows, columns
    num_blocks = height * width * self.sampling[0] * self.sampling[1]
    self.levels = array.array('h', bytes(2 * 64 * num_blocks))

  def offsets(self, *, is_alone: bool) -> np.ndarray:
    """Where blocks begin in `levels`, in the order of a scan.

    Args:
      is_alone: Whether the scan has this plane only: then it has the picture's
        blocks, and otherwise all of each group.

    Returns:
      [groups, blocks of each].
    """
    if is_alone:
      rows, columns = np.indices(self.shape).reshape(2, -1, 1)
    else:
      top, left = np.indices(self.groups).reshape(2, -1, 1)
      down, right = np.indices(self.sampling).reshape(2, 1, -1)
      rows = top * self.sampling[0] + down
      columns = left * self.sampling[1] + right
    return 64 * (rows * self.groups[1] * self.sampling[1] + columns)

  def plane(self, finest: Size) -> StoredPlane:
    """The plane when all is decoded."""
    rows, columns = self.shape
    levels = np.frombuffer(self.levels, np.int16)
    levels = levels.reshape(-1, self.groups[1] * self.sampling[1], 64)
    levels = levels[:rows, :columns, _NATURAL]
    return StoredPlane(
      levels.reshape(rows, columns, 8, 8),
      np.asarray(self.steps)[_NATURAL].reshape(8, 8),
      (finest[0] // self.sampling[0], finest[1] // self.sampling[1]),
    )


def decode(data: bytes) -> StoredJpeg:
  """Reads the coefficients of a JPEG file.

  Args:
    data: The bytes of the file.

  Raises:
    ValueError: If they are no JPEG, truncated or corrupt, or of a kind that
      cannot be read (arithmetic coding, lossless, 12 bits, four planes).
  """
  if data[:2] != bytes([0xFF, _SOI]):
    raise ValueError('it is not a JPEG file.')
  try:
    return _Decoder(data).run()
  except (IndexError, KeyError, OverflowError) as error:
    raise ValueError('it is a truncated or corrupt JPEG file.') from error


class _Decoder:
  """Reads a file from its first marker to its last."""

  def __init__(self, data: bytes) -> None:
    self.data = data
    self.size = self.finest = (0, 0)
    self.is_progressive = False
    self.restart_interval = 0
    self.components: dict[int, _Component] = {}
    self.quantisation: dict[int, np.ndarray] = {}
    self.huffman: dict[tuple[int, int], list[int]] = {}
    self.has_jfif = False
    self.adobe_transform: int | None = None

  def run(self) -> StoredJpeg:
    """Reads all segments."""
    position = 2
    while True:
      marker, content, position = self._segment(position)
      if marker == _EOI:
        return self._result()
      if marker in _OTHER_FRAMES:
        raise ValueError(
          'it must be a JPEG file of Huffman coding with 8 bits a sample.'
        )
      if marker in _FRAMES:
        self.is_progressive = marker == _PROGRESSIVE
        self._read_frame(content)
      elif marker == _DQT:
        self._read_quantisation(content)
      elif marker == _DHT:
        self._read_huffman(content)
      elif marker == _DRI:
        self.restart_interval = int.from_bytes(content[:2], 'big')
      elif marker == _APP0:
        self.has_jfif |= content[:4] == b'JFIF'
      elif marker == _APP14 and content[:5] == b'Adobe':
        self.adobe_transform = content[11]
      elif marker == _SOS:
        position = self._read_scan(content, position)

  def _segment(self, position: int) -> tuple[int, bytes, int]:
    """The marker at a position, its content, and the position after it."""
    while self.data[position] != 0xFF or self.data[position + 1] == 0xFF:
      position += 1
    marker = self.data[position + 1]
    position += 2
    if marker == _EOI:
      return marker, b'', position
    end = position + int.from_bytes(self.data[position : position + 2], 'big')
    if end > len(self.data):
      raise IndexError
    return marker, self.data[position + 2 : end], end

  def _read_frame(self, content: bytes) -> None:
    """The size and the planes."""
    height, width = (int.from_bytes(content[i : i + 2], 'big') for i in (1, 3))
    if self.components or content[0] != 8 or content[5] not in (1, 3):
      raise ValueError(
        'it must be a JPEG file of one or three planes with 8 bits a sample.'
      )
    for start in range(6, 6 + 3 * content[5], 3):
      name, sampling, table = (content[start + i] for i in range(3))
      self.components[name] = _Component((sampling & 15, sampling >> 4), table)
    if len(self.components) != content[5]:
      raise IndexError
    if len(self.components) == 1:  # Its sampling has no meaning.
      next(iter(self.components.values())).sampling = (1, 1)
    samplings = [c.sampling for c in self.components.values()]
    v, h = (max(sides) for sides in zip(*samplings, strict=True))
    if not all(
      s[0] and s[1] and not v % s[0] and not h % s[1] for s in samplings
    ):
      raise ValueError(f'its sampling {samplings} is not supported.')
    if not height or not width:
      raise IndexError
    self.size, self.finest = (height, width), (v, h)
    for component in self.components.values():
      component.allocate(self.size, self.finest)

  def _read_quantisation(self, content: bytes) -> None:
    while content:
      wide, name = content[0] >> 4, content[0] & 15
      kind = '>u2' if wide else 'u1'
      length = 128 if wide else 64
      steps = np.frombuffer(content[1 : 1 + length], kind).astype(np.int32)
      if len(steps) != 64 or not steps.all():
        raise ValueError('its quantisation table is corrupt.')
      self.quantisation[name] = steps
      content = content[1 + length :]

  def _read_huffman(self, content: bytes) -> None:
    while content:
      counts = np.frombuffer(content[1:17], np.uint8)
      num_codes = int(counts.sum())
      symbols = np.frombuffer(content[17 : 17 + num_codes], np.uint8)
      table = jpeg_entropy.make_table(counts, symbols)
      self.huffman[content[0] >> 4, content[0] & 15] = table
      content = content[17 + num_codes :]

  def _read_scan(self, content: bytes, position: int) -> int:
    """Decodes the scan that begins at a position, and returns its end."""
    found = _SCAN_END.search(self.data, position)
    if found is None:
      raise IndexError
    count = content[0]
    components = [self.components[content[1 + 2 * i]] for i in range(count)]
    tables = [content[2 + 2 * i] for i in range(count)]
    first, last, bits = (content[1 + 2 * count + i] for i in range(3))
    if not count or last > 63 or (self.is_progressive and first and count > 1):
      raise IndexError
    for component in components:
      if component.steps is None:
        component.steps = self.quantisation[component.table]
    scan = jpeg_entropy.Scan(
      [self.huffman.get((0, table >> 4), []) for table in tables],
      [self.huffman.get((1, table & 15), []) for table in tables],
      first=first,
      last=last,
      high=bits >> 4,
      low=bits & 15,
    )
    parts = _RESTART.split(self.data[position : found.start()])
    self._decode_parts(parts, components, scan)
    return found.start()

  def _decode_parts(
    self,
    parts: Sequence[bytes],
    components: Sequence[_Component],
    scan: jpeg_entropy.Scan,
  ) -> None:
    """Decodes what lies between the restart markers of a scan."""
    offsets = [c.offsets(is_alone=len(components) == 1) for c in components]
    planes = [np.full_like(o, index) for index, o in enumerate(offsets)]
    per_group = sum(o.shape[1] for o in offsets)
    blocks = list(
      zip(
        np.concatenate(planes, axis=1).ravel().tolist(),
        np.concatenate(offsets, axis=1).ravel().tolist(),
        strict=True,
      )
    )
    levels = [component.levels for component in components]
    decode_part = self._coding(scan)
    interval = self.restart_interval * per_group or len(blocks)
    for index, start in enumerate(range(0, len(blocks), interval)):
      part = parts[index].replace(b'\xff\x00', b'\xff')
      windows = jpeg_entropy.make_windows(part)
      used = decode_part(
        windows, blocks[start : start + interval], levels, scan
      )
      if used > 8 * len(part):
        raise IndexError

  def _coding(self, scan: jpeg_entropy.Scan) -> Any:
    """The function that decodes such a scan."""
    if not self.is_progressive:
      return jpeg_entropy.decode_sequential
    if scan.first == 0:
      return jpeg_entropy.refine_dc if scan.high else jpeg_entropy.decode_dc
    return jpeg_entropy.refine_ac if scan.high else jpeg_entropy.decode_ac

  def _result(self) -> StoredJpeg:
    components = self.components.values()
    if not components or any(c.steps is None for c in components):
      raise IndexError
    planes = tuple(c.plane(self.finest) for c in components)
    # As libjpeg decides.
    is_rgb = self.adobe_transform == 0 or (
      self.adobe_transform is None and bytes(self.components) == b'RGB'
    )
    is_ycbcr = len(planes) == 3 and (self.has_jfif or not is_rgb)
    return StoredJpeg(self.size, planes, is_ycbcr)
