"""Files appear whole or not at all, and what a killed process left goes."""

import os
import subprocess
import sys
import time

import numpy as np
import pytest

from internal_diffusion import files

LEFT = '.0123456789abcdef.tmp'


def make_old(path):
  old = time.time() - 60
  os.utime(path, (old, old))
  return path


def test_what_a_killed_process_left_is_removed(tmp_path):
  for name in (LEFT, '.note.tmp', 'photo.tmp', '.0123456789abcdef.png'):
    (tmp_path / name).write_text('x')
    make_old(tmp_path / name)
  folder = tmp_path / '.fedcba9876543210.tmp'
  (folder / 'arrays').mkdir(parents=True)
  make_old(folder)
  files.remove_abandoned(tmp_path)
  names = {path.name for path in tmp_path.iterdir()}
  assert names == {'.note.tmp', 'photo.tmp', '.0123456789abcdef.png'}


def test_a_write_cleans_its_folder(tmp_path):
  (tmp_path / LEFT).write_text('x')
  make_old(tmp_path / LEFT)
  files.write_atomically(tmp_path / 'a.txt', b'a')
  assert [path.name for path in tmp_path.iterdir()] == ['a.txt']


def test_what_another_process_writes_is_kept(tmp_path):
  (tmp_path / LEFT).write_text('x')
  make_old(tmp_path / LEFT)
  with files.in_use(tmp_path / LEFT):
    files.remove_abandoned(tmp_path)
    assert (tmp_path / LEFT).exists()
  files.remove_abandoned(tmp_path)
  assert not (tmp_path / LEFT).exists()


def test_what_is_new_is_kept(tmp_path):
  (tmp_path / LEFT).write_text('x')
  files.remove_abandoned(tmp_path)
  assert (tmp_path / LEFT).exists()


def test_a_missing_folder_has_nothing_to_remove(tmp_path):
  files.remove_abandoned(tmp_path / 'none')
  assert not (tmp_path / 'none').exists()


def test_arrays_come_back(tmp_path):
  array = np.arange(6.0).reshape(2, 3)
  files.write_npy(tmp_path / 'a.npy', array)
  np.testing.assert_array_equal(np.load(tmp_path / 'a.npy'), array)


FULL = """
import resource, signal, sys
from internal_diffusion import files
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
  files.write_atomically(sys.argv[1], b'new' * 1000)
except OSError as error:
  print(error)
"""


def test_a_full_disk_keeps_the_old_file(tmp_path):
  path = tmp_path / 'a.txt'
  path.write_text('old')
  done = subprocess.run(
    [sys.executable, '-c', FULL, str(path)],
    capture_output=True,
    text=True,
    check=True,
    timeout=60,
  )
  assert 'File too large' in done.stdout
  assert path.read_text() == 'old'
  assert [path.name for path in tmp_path.iterdir()] == ['a.txt']


def test_a_folder_in_the_way_leaves_nothing(tmp_path):
  (tmp_path / 'a').mkdir()
  with pytest.raises(OSError, match='directory'):
    files.write_atomically(tmp_path / 'a', b'x')
  assert [path.name for path in tmp_path.iterdir()] == ['a']
