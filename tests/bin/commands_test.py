"""All commands: help, common flags, imports."""

import importlib
import os
import subprocess
import sys

import pytest

from tests.bin import commands

NAMES = (
  'train',
  'sample',
  'evaluate',
  'generate',
  'upscale',
  'edit',
  'flow',
  'reproduce',
  'surprise',
  'video',
  'demo',
)
COMMON = ('image', 'frames', 'out', 'workdir', 'seed', 'overwrite')


@pytest.mark.parametrize('name', NAMES)
def test_help_reads_well(name):
  code, out, err = commands.run(name, '--help')
  assert (code, err) == (0, '')
  assert f'idiff-{name} ' in out
  assert 'Flags:' in out
  assert '--version' in out
  assert max(map(len, out.splitlines())) <= 80


def test_common_flags_are_the_same_everywhere():
  found = {name: [] for name in COMMON}
  for name in NAMES:
    module = importlib.import_module(f'internal_diffusion.bin.{name}')
    flags = module._FLAGS
    assert set(flags) & {'image', 'frames', 'workdir', 'generated', 'out'}, name
    for common in COMMON:
      if common in flags:
        flag = flags[common]
        found[common].append((flag.default, flag.flag_type()))
  for name, uses in found.items():
    assert len(set(map(repr, uses))) == 1, name
  assert found['out'][0][0] == 'out'


@pytest.mark.parametrize('name', NAMES)
def test_required_flags(tmp_path, name):
  if name == 'demo':
    return  # It needs nothing.
  code, _, err = commands.run(name, f'--out={tmp_path / "none"}')
  if name == 'train':  # It has a workdir instead.
    code, _, err = commands.run(name)
  commands.assert_one_line_and_nothing_written(code, err, tmp_path / 'none')
  assert 'required' in err


def test_a_notebooks_backend_ends_no_command():
  lines = [f'import internal_diffusion.bin.{name}' for name in NAMES]
  found = subprocess.run(
    [sys.executable, '-c', '\n'.join(lines)],
    capture_output=True,
    text=True,
    cwd=commands.ROOT,
    env={
      **os.environ,
      'MPLBACKEND': 'module://matplotlib_inline.backend_inline',
    },
    check=False,
  )
  assert (found.returncode, found.stderr) == (0, '')
