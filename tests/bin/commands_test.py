"""What all commands do alike."""

import pytest

from tests.bin import commands


@pytest.mark.parametrize(
  ('name', 'run'),
  [
    ('train', commands.run),
    ('sample', commands.run),
    ('evaluate', commands.run),
    ('generate', commands.run),
    # The others' processes do their work in other tests.
    ('reproduce', commands.run_process),
    ('demo', commands.run_process),
  ],
)
def test_help_reads_well(name, run):
  code, out, err = run(name, '--help')
  assert code == 0
  assert err == ''
  assert f'idiff-{name}' in out
  assert 'Flags:' in out
  assert max(map(len, out.splitlines())) < 160


@pytest.mark.parametrize(
  'name', ['train', 'sample', 'evaluate', 'generate', 'reproduce']
)
def test_required_flags(tmp_path, name):
  code, _, err = commands.run(name)
  commands.assert_one_line_and_nothing_written(code, err, tmp_path / 'none')
  assert 'required' in err
