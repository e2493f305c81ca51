"""The parts that all commands share, tried with a toy command."""

import os
import subprocess
import sys

import pytest

from internal_diffusion.bin import config_files
from tests.bin import commands, toy_runs

TOY = 'from tests.bin import toy; toy.reset(); toy.run()'


@pytest.fixture
def photo(tmp_path):
  return toy_runs.write(tmp_path / 'in' / 'photo.png')


@pytest.fixture
def out(tmp_path):
  return tmp_path / 'out'


def test_a_run_writes_results_report_and_page(photo, out):
  code, printed, err = toy_runs.run(
    f'--image={photo}', f'--out={out}', '--copies=2'
  )
  assert (code, err) == (0, '')
  assert printed == f'idiff-toy: 2 copies in {out}\n'
  assert set(toy_runs.content(out)) == {
    'copy_000.png',
    'copy_001.png',
    'index.html',
    'report.json',
  }
  report = commands.assert_report(out / 'report.json')
  assert report['command'] == 'idiff-toy'
  assert report['complete']
  assert report['figures']['mean'] == pytest.approx(1 / 255, abs=1e-5)
  assert report['settings']['copies'] == 2
  assert report['settings']['tone'] == 'light'
  assert report['settings']['nested'] == {'width': 1}
  assert set(report['seconds']) == {'setup', 'compile', 'run'}
  assert report['files'] == ['copy_000.png', 'copy_001.png', 'index.html']
  page = (out / 'index.html').read_text()
  assert page.count('<img') == 2
  assert 'Copy 1.' in page


def test_help_has_common_flags_first_and_rare_ones_last():
  code, printed, err = toy_runs.run('--help')
  assert (code, err) == (0, '')
  flags = [
    line.strip().split('=')[0]
    for line in printed.splitlines()
    if line.strip().startswith('--')
  ]
  assert flags == [
    '--image',
    '--out',
    '--workdir',
    '--seed',
    '--[no]overwrite',
    '--copies',
    '--tone',
    '--[no]negative',
    '--limits',
    '--label',
    '--side',
    '--version',
    '--max_pixels',
    '--gain',
  ]
  assert printed.index('Rarely needed:') < printed.index('--gain')
  assert '--tone=light|dark\n      Tone of the copies. (default: light)' in (
    printed
  )
  assert max(map(len, printed.splitlines())) <= 80


def test_version():
  code, printed, _ = toy_runs.run('--version')
  assert code == 0
  assert printed.startswith('idiff-toy 0.')


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ((), '--image is required'),
    (('--image={photo}', '--out='), '--out is required'),
    (('--image={photo}', '--copies=0'), '--copies must be a positive integer'),
    (('--image={photo}', '--max_pixels=47'), '47 pixels can be read'),
    (('--image={photo}', '--max_pixels=0'), '--max_pixels must be above 0'),
    (('--image={photo}', '--seed=-1'), '--seed must be in'),
    (('--image={photo}', '--tone=grey'), '<light|dark>'),
    (('--image={photo}', 'stray'), "unexpected argument 'stray'"),
    (('--image={photo}', '--nothing=1'), 'nothing'),
    (('--image={photo}x',), 'There is no file'),
    # A loss that is not finite, in any command.
    (('--image={photo}', '--label=nan'), 'not finite at step 3'),
  ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(
  photo, out, arguments, message
):
  given = [argument.format(photo=photo) for argument in arguments]
  code, _, err = toy_runs.run(f'--out={out}', *given)
  commands.assert_one_line_and_nothing_written(code, err, out)
  assert message in err
  assert not out.exists()


def test_a_single_bad_file_is_an_error(tmp_path, out):
  bad = tmp_path / 'bad.png'
  bad.write_bytes(b'no image')
  code, _, err = toy_runs.run(f'--image={bad}', f'--out={out}')
  commands.assert_one_line_and_nothing_written(code, err, out)


def test_home_is_expanded_in_every_path(tmp_path, photo, monkeypatch):
  monkeypatch.setenv('HOME', str(photo.parent))
  code, _, err = toy_runs.run(
    '--image=~/photo.png', '--out=~/results', folder=tmp_path
  )
  assert code == 0, err
  assert (photo.parent / 'results' / 'report.json').exists()
  assert not (tmp_path / '~').exists()
  config = config_files.ml_collections.ConfigDict(
    {'image': '~/a.png', 'inner': {'path': '~', 'name': 'a~b'}}
  )
  config_files.expand_paths(config)
  assert config.image == str(photo.parent / 'a.png')
  assert config.inner.to_dict() == {'path': str(photo.parent), 'name': 'a~b'}


@pytest.mark.parametrize('arguments', [['--help'], ['--image={a},{b},{c}']])
def test_standard_output_that_goes_away_ends_nothing(tmp_path, out, arguments):
  names = {name: toy_runs.write(tmp_path / f'{name}.png') for name in 'abc'}
  reader, writer = os.pipe()
  os.close(reader)
  with open(writer, 'w') as stream:
    code, _, err = toy_runs.run(
      *(argument.format(**names) for argument in arguments),
      f'--out={out}',
      stdout=stream,
    )
  assert (code, err) == (0, '')
  if arguments != ['--help']:
    assert all((out / name / 'report.json').exists() for name in names)


def test_a_broken_pipe_as_in_a_shell(tmp_path, photo, out):
  found = subprocess.run(
    f'{sys.executable} -c "{TOY}" --image={photo} --out={out} | true;'
    ' echo ${PIPESTATUS[0]}',
    shell=True,
    executable='/bin/bash',
    capture_output=True,
    text=True,
    cwd=commands.ROOT,
    check=True,
  )
  assert (found.stdout, found.stderr) == ('0\n', '')
  assert (out / 'report.json').exists()


def test_a_platform_that_is_not_there_is_one_line(photo, out):
  found = subprocess.run(
    [sys.executable, '-c', TOY, f'--image={photo}', f'--out={out}'],
    capture_output=True,
    text=True,
    cwd=commands.ROOT,
    env={**os.environ, 'JAX_PLATFORMS': 'cuda'},
    check=False,
  )
  commands.assert_one_line_and_nothing_written(
    found.returncode, found.stderr, out
  )
  for word in ('JAX_PLATFORMS', "'cuda'", 'cpu'):
    assert word in found.stderr
