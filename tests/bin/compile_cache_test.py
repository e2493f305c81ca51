"""Compiled functions on disk."""

import os
import subprocess
import sys
import time

import pytest

from internal_diffusion.bin import compile_cache
from tests.bin import commands

# Compiles one function as a command does, and prints how often it was compiled.
SCRIPT = """
import sys
if len(sys.argv) > 1:
  import resource
  limit = int(sys.argv[1])
  resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
from absl import flags
import jax
from internal_diffusion.bin import command
hits = []
jax.monitoring.register_event_listener(
  lambda event, **_: hits.append(event.endswith('/cache_hits')))
def main():
  jax.jit(lambda x: x * 2 + 1)(3.0)
  print(any(hits))
sys.argv[1:] = []
command.run(main, flags.FlagValues(), name='idiff-x', doc='')
"""


def run(environment, *arguments):
  kept = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(('JAX_COMPILATION', 'JAX_PERSISTENT'))
  }
  found = subprocess.run(
    [sys.executable, '-c', SCRIPT, *arguments],
    capture_output=True,
    text=True,
    env={**kept, **environment},
    cwd=commands.ROOT,
    check=False,
  )
  assert (found.returncode, found.stderr) == (0, '')
  return found.stdout.strip()


def test_the_second_process_compiles_nothing(tmp_path):
  folder = tmp_path / 'cache'
  environment = {compile_cache.VARIABLE: str(folder)}
  # As on a full disk: no file of more than 100 bytes can be written.
  assert run(environment, '100') == 'False'
  entries = list(folder.glob('*-cache'))
  assert all(path.stat().st_size <= 100 for path in entries)
  # The broken entries are found, and deleted.
  assert run(environment) == 'False'
  run(environment)
  assert run(environment) == 'True'
  assert folder.stat().st_mode & 0o777 == 0o700


def test_the_folder_and_how_to_switch_it_off(tmp_path, monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  monkeypatch.delenv(compile_cache.VARIABLE, raising=False)
  default = tmp_path / 'internal_diffusion' / 'jax'
  assert compile_cache.cache_folder() == default
  monkeypatch.setenv(compile_cache.VARIABLE, str(tmp_path / 'other'))
  assert compile_cache.cache_folder() == tmp_path / 'other'
  monkeypatch.setenv(compile_cache.VARIABLE, 'off')
  assert compile_cache.cache_folder() is None


def test_a_folder_that_cannot_be_made_does_no_harm(tmp_path, monkeypatch):
  (tmp_path / 'file').touch()
  monkeypatch.delenv('JAX_COMPILATION_CACHE_DIR', raising=False)
  monkeypatch.setenv(compile_cache.VARIABLE, str(tmp_path / 'file' / 'cache'))
  assert compile_cache.enable() is None


def test_a_users_own_cache_is_left_alone(tmp_path, monkeypatch):
  monkeypatch.setenv('JAX_COMPILATION_CACHE_DIR', str(tmp_path))
  monkeypatch.setenv(compile_cache.VARIABLE, str(tmp_path / 'other'))
  assert compile_cache.enable() is None
  assert not (tmp_path / 'other').exists()


@pytest.mark.parametrize(('empty', 'kept'), [(False, ['b', 'c']), (True, [])])
def test_the_oldest_entries_are_deleted(tmp_path, empty, kept):
  now = time.time()
  for age, name in enumerate('cba'):
    path = tmp_path / f'{name}-cache'
    path.write_bytes(bytes(40))
    os.utime(path, (now - age, now - age))
  (tmp_path / 'notes.txt').write_bytes(bytes(400))
  compile_cache.prune(tmp_path, max_bytes=100, empty=empty)
  names = {f'{name}-cache' for name in kept} | {'notes.txt'}
  assert {path.name for path in tmp_path.iterdir()} == names
