"""Damaged files of every format are read or refused in clear words."""

import pathlib
import pickle
import zipfile

import numpy as np
import pytest

from benchmarks import robustness
from internal_diffusion.applications.patches.evaluation import (
  Samples,
  read_samples,
)
from internal_diffusion.data import array_io, blur_kernel


@pytest.fixture(scope='module')
def good(tmp_path_factory):
  return list(robustness.good_files(tmp_path_factory.mktemp('good')))


@pytest.mark.filterwarnings('ignore:.*frames is read')
def test_good_files_are_read(good):
  for path, read in good:
    assert read(path) is not None, path


@pytest.mark.parametrize('index', range(20))
def test_mutated_files_are_read_or_refused(good, index):
  path, read = good[index]
  found = robustness.read_mutated(path, read, num=120, seed=7)
  assert 0 < found['refused'] <= 1


def test_no_format_is_forgotten(good):
  assert len(good) == 20


class Trap:
  """Unpickling this makes a file."""

  def __init__(self, path):
    self.path = path

  def __reduce__(self):
    return pathlib.Path.touch, (self.path,)


def test_no_pickle_is_ever_loaded(tmp_path):
  trapped = tmp_path / 'trapped'
  objects = np.empty((5, 5), object)
  objects[:] = Trap(trapped)
  np.save(tmp_path / 'a.npy', objects, allow_pickle=True)
  (tmp_path / 'b.npy').write_bytes(pickle.dumps(Trap(trapped)))
  for name in ('a.npy', 'b.npy'):
    for read in (array_io.read_array, blur_kernel.read_kernel):
      with pytest.raises(ValueError, match=name):
        read(tmp_path / name)
  with zipfile.ZipFile(tmp_path / 'c.npz', 'w') as archive:
    for field in Samples._fields:
      archive.write(tmp_path / 'a.npy', f'{field}.npy')
  with pytest.raises(ValueError, match=r'c\.npz'):
    read_samples(tmp_path / 'c.npz')
  assert not trapped.exists()
