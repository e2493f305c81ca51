"""Running the commands: here, or in a process of their own as a person does."""

import contextlib
import io
import json
import pathlib
import runpy
import subprocess
import sys
import warnings
from unittest import mock

ROOT = pathlib.Path(__file__).parents[2]
SMALL = (
  '--config.network.width=16',
  '--config.network.depth=1',
  '--config.batch_size=32',
  '--config.num_references=64',
  '--config.num_devices=1',
  '--config.steps_per_call=5',
  '--config.max_side=64',
)


def run(name, *arguments):
  """Runs a command in this process: JAX is imported and warm already.

  Returns:
    Exit code, standard output and standard error.
  """
  module = f'internal_diffusion.bin.{name}'
  # A module that was imported is run anew, which gives it flags of its own.
  return run_function(
    lambda: runpy.run_module(module, run_name='__main__'),
    *arguments,
    folder=ROOT,
  )


def run_function(function, *arguments, folder=None, stdout=None):
  """Runs a function as a command in this process.

  Args:
    function: Entry point of the command.
    *arguments: Command line.
    folder: Current folder of the command; None is the present one.
    stdout: Stream to write to; None collects the text.

  Returns:
    Exit code, standard output and standard error.
  """
  out, err, code = io.StringIO(), io.StringIO(), 0
  with (
    contextlib.chdir(folder or '.'),
    contextlib.redirect_stdout(stdout or out),
    contextlib.redirect_stderr(err),
    mock.patch.object(sys, 'argv', ['command', *map(str, arguments)]),
    warnings.catch_warnings(),
  ):
    warnings.resetwarnings()  # As an interpreter begins, not as pytest does.
    warnings.filterwarnings('ignore', module='runpy')
    try:
      function()
    except SystemExit as stopped:
      code = stopped.code or 0
  return code, out.getvalue(), err.getvalue()


def start(name, *arguments):
  """Starts a command in a process of its own."""
  return subprocess.Popen(
    [sys.executable, '-m', f'internal_diffusion.bin.{name}', *arguments],
    cwd=ROOT,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )


def run_process(name, *arguments):
  """As `run`, in a process of its own: the exit code is the true one."""
  with start(name, *arguments) as process:
    try:
      out, err = process.communicate(timeout=300)
    finally:
      process.kill()  # Where it took too long; else it has ended.
  return process.returncode, out, err


def train_command(photo, workdir, *arguments):
  """The name and arguments that train a small network."""
  return (
    'train',
    '--config=configs/patch.py',
    f'--config.image={photo}',
    f'--workdir={workdir}',
    *SMALL,
    *arguments,
  )


def assert_report(path):
  """Asserts that a report holds what every report does, and returns it."""
  content = json.loads(pathlib.Path(path).read_text())
  assert set(content) == {
    'command',
    'complete',
    'device',
    'figures',
    'files',
    'inputs',
    'seconds',
    'seed',
    'settings',
    'versions',
  }
  # Times are measured, or absent.
  assert all(seconds >= 0 for seconds in content['seconds'].values())
  return content


def assert_one_line_and_nothing_written(code, err, directory):
  """Asserts what every command does with a mistake."""
  assert code == 2, err
  lines = err.strip().splitlines()
  assert len(lines) == 1, err
  assert 'error:' in lines[0]
  assert not directory.exists() or not any(directory.iterdir())
