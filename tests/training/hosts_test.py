"""Training on several hosts, for which processes of one machine stand."""

import os
import signal
import socket
import subprocess
import sys
import time

import chex
import pytest

from internal_diffusion.training import model_files, processes
from internal_diffusion.training.fit import fit
from tests.bin import commands
from tests.training import toy


def train(folder, steps, address='', index=0):
  """One process's part of a run, called in a process of its own."""
  if address:
    processes.start(coordinator=address, num_processes=2, process_id=index)
  options = toy.options(num_steps=int(steps), num_devices=0)
  fitted = fit(toy.line(), toy.data(), toy.LineLoss(), options, run_dir=folder)
  model_files.save(folder, {'slope': fitted.model.params})
  print(fitted.step, fitted.interrupted)


_STARTED = []


@pytest.fixture(autouse=True)
def ended():
  yield
  while _STARTED:
    with _STARTED.pop() as process:
      process.kill()


def start(num_devices, *arguments):
  code = f'from tests.training import hosts_test as t; t.train{arguments!r}'
  flags = f'--xla_force_host_platform_device_count={num_devices}'
  process = subprocess.Popen(
    [sys.executable, '-c', code],
    cwd=commands.ROOT,
    env={**os.environ, 'XLA_FLAGS': flags, 'JAX_PLATFORMS': 'cpu'},
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )
  _STARTED.append(process)
  return process


def start_two(folder, steps):
  with socket.socket() as free:
    free.bind(('127.0.0.1', 0))
    address = f'127.0.0.1:{free.getsockname()[1]}'
  return [start(2, str(folder), steps, address, index) for index in range(2)]


def result(process):
  out, err = process.communicate(timeout=100)
  # The collective operations' own messages come before.
  return process.returncode, out.splitlines()[-1:], err


def steps_of(folder):
  found = folder.glob('checkpoints/*')
  return [int(path.name) for path in found if path.name.isdigit()]


def wait_for_a_checkpoint(folder, pair):
  deadline = time.monotonic() + 90
  while not steps_of(folder):
    assert time.monotonic() < deadline
    assert all(process.poll() is None for process in pair)
    time.sleep(0.02)


@pytest.mark.long
def test_two_processes_of_two_devices_are_one_of_four(tmp_path):
  alone = result(start(4, str(tmp_path / 'one'), 20))
  assert alone[0] == 0, alone[2]
  for code, out, err in map(result, start_two(tmp_path / 'two', 20)):
    assert code == 0, err
    assert out == ['20 False']
  one, two = (model_files.load(tmp_path / name) for name in ('one', 'two'))
  chex.assert_trees_all_close(one, two, rtol=1e-5)
  assert float(two['slope']) > 1e-3  # It has learnt.
  # Each file once.
  for name in ('one', 'two'):
    found = [path.name for path in (tmp_path / name).iterdir()]
    assert len(found) == 6, found


@pytest.mark.long
def test_a_lost_process_ends_the_run_which_resumes(tmp_path):
  pair = start_two(tmp_path, 10**7)
  wait_for_a_checkpoint(tmp_path, pair)
  pair[1].kill()
  code, _, err = result(pair[0])
  result(pair[1])
  assert code != 0
  # The library's own message, or JAX's where it ends the process first.
  own = 'process of the run failed or was lost'
  assert own in err or 'another task died' in err
  step = max(steps_of(tmp_path))
  # One process of other devices goes on as well.
  code, out, err = result(start(2, str(tmp_path), step + 10))
  assert code == 0, err
  assert out == [f'{step + 10} False']


@pytest.mark.long
def test_a_signal_to_one_process_stops_and_saves_all(tmp_path):
  pair = start_two(tmp_path, 10**7)
  wait_for_a_checkpoint(tmp_path, pair)
  pair[1].send_signal(signal.SIGTERM)
  steps = set()
  for code, out, err in map(result, pair):
    assert code == 0, err
    steps.update(out)
  assert len(steps) == 1, steps
  assert steps.pop().endswith('True')
