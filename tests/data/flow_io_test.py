"""Files of flow against their formats, written out byte by byte."""

import struct

import numpy as np
import pytest

from internal_diffusion.data import flow_io, image_io


def random_flow(*size, scale=20.0):
  values = np.random.default_rng(0).normal(0, scale, (*size, 2))
  return values.astype(np.float32)


def flo_bytes(flow, *, magic=b'PIEH', size=None):
  width, height = size or flow.shape[1::-1]
  return struct.pack(
    f'<4sii{flow.size}f', magic, width, height, *flow.ravel().tolist()
  )


def assert_reads(path, flow, valid):
  read, known = flow_io.read_flow(path)
  assert read.dtype == np.float32
  assert known.dtype == bool
  np.testing.assert_array_equal(known, valid)
  np.testing.assert_array_equal(read, np.where(valid[..., None], flow, 0))


def test_flo_is_magic_number_width_height_and_vectors(tmp_path):
  flow = random_flow(3, 5)
  path = tmp_path / 'a.FLO'
  path.write_bytes(flo_bytes(flow))
  assert_reads(path, flow, np.ones((3, 5), bool))
  assert struct.unpack('<f', b'PIEH') == (202021.25,)
  flow_io.write_flow(tmp_path / 'b.flo', flow)
  assert (tmp_path / 'b.flo').read_bytes() == flo_bytes(flow)


@pytest.mark.parametrize('unknown', [1.7e9, -1e10, np.nan, np.inf, -np.inf])
@pytest.mark.parametrize('component', [0, 1])
def test_unknown_vectors_are_masked_and_0(tmp_path, unknown, component):
  flow = random_flow(4, 3)
  flow[1, 2, component] = unknown
  valid = np.ones((4, 3), bool)
  valid[1, 2] = False
  path = tmp_path / 'a.flo'
  path.write_bytes(flo_bytes(flow))
  assert_reads(path, flow, valid)
  for name in ('b.flo', 'b.png'):
    flow_io.write_flow(tmp_path / name, np.rint(flow))
    assert_reads(tmp_path / name, np.rint(flow), valid)


def test_1e9_is_still_known(tmp_path):
  flow = np.full((2, 2, 2), 1e9, np.float32)
  flow_io.write_flow(tmp_path / 'a.flo', flow)
  assert_reads(tmp_path / 'a.flo', flow, np.ones((2, 2), bool))


@pytest.mark.parametrize('suffix', ['.flo', '.png'])
def test_round_trip_with_a_mask(tmp_path, suffix):
  flow = np.rint(64 * random_flow(6, 7)) / 64
  valid = np.random.default_rng(1).random((6, 7)) > 0.3
  path = tmp_path / 'folder' / f'a{suffix}'
  flow_io.write_flow(path, flow, valid=valid)
  assert_reads(path, flow, valid)
  assert list(path.parent.iterdir()) == [path]


def test_png_is_the_format_of_kitti(tmp_path):
  flow = np.array([[[0, 0], [1, -2.5]], [[-512, 511.984375], [3, 4]]])
  valid = np.array([[True, True], [True, False]])
  path = tmp_path / 'a.png'
  flow_io.write_flow(path, flow, valid=valid)
  zero = 2**15
  expected = [
    [[zero, zero, 1], [zero + 64, zero - 160, 1]],
    [[0, 2**16 - 1, 1], [0, 0, 0]],
  ]
  pixels = image_io.read_image(path)
  np.testing.assert_array_equal(np.rint((pixels + 1) / 2 * 65535), expected)


def test_png_rounds_to_the_nearest_64th(tmp_path):
  flow = random_flow(8, 9)
  flow_io.write_flow(tmp_path / 'a.png', flow)
  read, _ = flow_io.read_flow(tmp_path / 'a.png')
  assert np.abs(read - flow).max() <= 1 / 128


@pytest.mark.parametrize(
  ('data', 'match'),
  [
    (b'', '12 bytes, got 0'),
    (b'PIEH\1\0\0\0', '12 bytes, got 8'),
    (flo_bytes(np.zeros((2, 3, 2)), magic=b'HEIP'), r'202021\.25, got'),
    (
      flo_bytes(np.zeros((2, 3, 2)), size=(3, 4)),
      'width 3 and height 4 must have 108 bytes, got 60',
    ),
    (flo_bytes(np.zeros((2, 3, 2))) + b'\0', 'have 60 bytes, got 61'),
    (flo_bytes(np.zeros((2, 3, 2)), size=(-3, -2)), 'width -3 and height -2'),
    (flo_bytes(np.zeros((0, 3, 2))), 'height 0'),
  ],
)
def test_broken_flo_files_are_named(tmp_path, data, match):
  path = tmp_path / 'a.flo'
  path.write_bytes(data)
  with pytest.raises(ValueError, match=match) as error:
    flow_io.read_flow(path)
  assert str(path) in str(error.value)
  assert '\n' not in str(error.value)


@pytest.mark.parametrize(
  ('channels', 'bit_depth', 'got'),
  [(3, 8, 'PNG of RGB'), (1, 16, 'PNG of I;16B'), (1, 8, 'PNG of L')],
)
def test_other_pngs_are_refused(tmp_path, channels, bit_depth, got):
  path = tmp_path / 'a.png'
  image_io.write_image(path, np.zeros((2, 2, channels)), bit_depth=bit_depth)
  with pytest.raises(ValueError, match=f'16 bits a channel of RGB, got {got}'):
    flow_io.read_flow(path)


def test_other_pictures_and_no_pictures_are_refused(tmp_path):
  path = tmp_path / 'a.png'
  image_io.write_image(tmp_path / 'a.tif', np.zeros((2, 2, 3)), bit_depth=16)
  path.write_bytes((tmp_path / 'a.tif').read_bytes())
  with pytest.raises(ValueError, match=r'must be a PNG.*got TIFF'):
    flow_io.read_flow(path)
  path.write_bytes(b'nothing')
  with pytest.raises(ValueError, match='not an image'):
    flow_io.read_flow(path)


def test_paths_are_checked(tmp_path):
  with pytest.raises(ValueError, match=r'`a\.pfm` must end in \.flo'):
    flow_io.read_flow('a.pfm')
  with pytest.raises(ValueError, match='must end in'):
    flow_io.write_flow('a', np.zeros((2, 2, 2)))
  for suffix in ('flo', 'png'):
    with pytest.raises(FileNotFoundError, match='absent'):
      flow_io.read_flow(tmp_path / f'absent.{suffix}')


@pytest.mark.parametrize(
  ('name', 'flow', 'valid', 'match'),
  [
    ('a.flo', np.zeros((2, 2, 3)), None, r'`flow`.*\(2, 2, 3\)'),
    ('a.flo', np.zeros((2, 2)), None, r'`flow`.*\(2, 2\)'),
    ('a.flo', np.zeros((0, 2, 2)), None, r'`flow`.*\(0, 2, 2\)'),
    ('a.flo', np.zeros((2, 3, 2)), np.ones((3, 2), bool), r'\(3, 2\)'),
    ('a.png', np.full((2, 2, 2), 512.0), None, r'\[512, 512\]; write \.flo'),
    ('a.png', np.full((2, 2, 2), -512.1), None, r'\[-512\.1, -512\.1\]'),
  ],
)
def test_bad_flows_leave_no_trace(tmp_path, name, flow, valid, match):
  with pytest.raises(ValueError, match=match):
    flow_io.write_flow(tmp_path / name, flow, valid=valid)
  assert not list(tmp_path.iterdir())


def test_what_is_unknown_may_be_out_of_range(tmp_path):
  flow = np.zeros((1, 2, 2))
  flow[0, 1] = 1000
  valid = np.array([[True, False]])
  flow_io.write_flow(tmp_path / 'a.png', flow, valid=valid)
  assert_reads(tmp_path / 'a.png', flow, valid)
