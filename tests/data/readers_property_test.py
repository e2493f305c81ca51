"""Whatever a file holds: it is read, or refused in clear words."""

import contextlib
import pathlib
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from benchmarks import robustness
from internal_diffusion.data import clip_io, flow_io, image_io, masks


def bounded(num):
  return settings(max_examples=num, derandomize=True, deadline=None)


EDITS = st.lists(
  st.tuples(st.floats(0, 1), st.integers(0, 9), st.binary(max_size=9)),
  min_size=1,
  max_size=4,
)


def edited(data, edits):
  """Bytes in which some are replaced by others at places in [0, 1]."""
  for place, length, new in edits:
    at = int(place * len(data))
    data = data[:at] + new + data[at + length :]
  return data


def reads_or_refuses(read, path):
  """Reads a file; any error but a clear one fails the test."""
  with warnings.catch_warnings():
    warnings.simplefilter('ignore')
    with contextlib.suppress(ValueError, OSError):
      read(path)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  return tmp_path_factory.mktemp('readers')


@pytest.fixture(scope='module')
def good(folder):
  found = [(p, p.read_bytes(), r) for p, r in robustness.good_files(folder)]
  picture, gif = folder / 'image.png', folder / 'image.gif'

  def mask(path):
    return masks.read_mask(path, (12, 17))

  return [
    *found,
    (picture, picture.read_bytes(), mask),
    (gif, gif.read_bytes(), clip_io.read_clip),
  ]


@bounded(100)
@given(which=st.integers(0, 21), edits=EDITS)
def test_any_file_is_read_or_refused(good, folder, which, edits):
  path, content, read = good[which]
  damaged = folder / f'damaged{path.suffix}'
  damaged.write_bytes(edited(content, edits))
  reads_or_refuses(read, damaged)


@bounded(60)
@given(
  which=st.integers(0, 21), content=st.binary(max_size=60), keep=st.booleans()
)
def test_any_bytes_are_read_or_refused(good, folder, which, content, keep):
  path, whole, read = good[which]
  damaged = folder / f'bytes{path.suffix}'
  damaged.write_bytes((whole[:12] if keep else b'') + content)
  reads_or_refuses(read, damaged)


@pytest.fixture(scope='module')
def saved(folder):
  found = []
  for path, read in robustness.good_folders(folder):
    inside = sorted(p for p in path.rglob('*') if p.is_file())
    found.append((path, {p: p.read_bytes() for p in inside}, read))
  return found


@bounded(4)
@given(which=st.integers(0, 1), file=st.integers(0, 99), edits=EDITS)
def test_any_checkpoint_is_read_or_refused(saved, which, file, edits):
  path, contents, read = saved[which]
  chosen = list(contents)[file % len(contents)]
  chosen.write_bytes(edited(contents[chosen], edits))
  try:
    reads_or_refuses(read, path)
  finally:
    for name, content in contents.items():  # A reader may delete damage.
      pathlib.Path(name).parent.mkdir(parents=True, exist_ok=True)
      pathlib.Path(name).write_bytes(content)


@bounded(30)
@given(
  size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
  channels=st.integers(1, 4),
  bits=st.sampled_from([8, 16]),
  ending=st.sampled_from(['png', 'tif']),
  seed=st.integers(0, 99),
)
def test_pictures_come_back(folder, size, channels, bits, ending, seed):
  top = 2**bits - 1
  rng = np.random.default_rng(seed)
  samples = rng.integers(0, top + 1, (*size, channels))
  image = (2 * samples / top - 1).astype(np.float32)
  path = folder / f'again.{ending}'
  image_io.write_image(path, image, bit_depth=bits)
  again, depth = image_io.read_image_with_alpha(path)
  assert depth == bits
  np.testing.assert_array_equal(np.rint((again + 1) * top / 2), samples)


FLOWS = arrays.arrays(
  np.float32,
  st.tuples(st.integers(1, 6), st.integers(1, 6), st.just(2)),
  elements=st.floats(-1e6, 1e6, width=32),
)


@bounded(30)
@given(flow=FLOWS)
def test_flows_come_back(folder, flow):
  flow_io.write_flow(folder / 'again.flo', flow)
  again, known = flow_io.read_flow(folder / 'again.flo')
  np.testing.assert_array_equal(again, flow)
  assert known.all()
