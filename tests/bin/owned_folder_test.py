"""A command replaces its own results, and nobody's other files."""

import json

import pytest

from internal_diffusion.data import image_io
from tests.bin import commands, toy_runs


@pytest.fixture
def photo(tmp_path):
  return toy_runs.write(tmp_path / 'in' / 'photo.png')


@pytest.fixture
def out(tmp_path):
  return tmp_path / 'out'


@pytest.mark.parametrize('name', ['mean.png', 'copy_001.png', 'index.html'])
def test_an_input_is_never_an_output(tmp_path, name):
  path = toy_runs.write(tmp_path / 'here.png').rename(tmp_path / name)
  before = toy_runs.content(tmp_path)
  for options in ((), ('--overwrite',)):
    code, _, err = toy_runs.run(
      f'--image={path}', f'--out={tmp_path}', *options
    )
    assert code == 2
    assert f'`{path}` is an input and would be replaced' in err
  assert toy_runs.content(tmp_path) == before


def test_results_beside_an_input_of_another_name(photo):
  code, _, err = toy_runs.run(f'--image={photo}', f'--out={photo.parent}')
  assert code == 0, err
  assert image_io.read_image(photo).shape == (6, 8, 3)


def test_the_same_command_again_leaves_nothing_stale(photo, out):
  arguments = (f'--image={photo}', f'--out={out}', '--copies=2')
  assert toy_runs.run(*arguments)[0] == 0
  before = set(toy_runs.content(out))
  # As if the run before this one had been stopped in the middle.
  report = json.loads((out / 'report.json').read_text())
  (out / 'copy_007.png').write_bytes(b'stale')
  report['files'].append('copy_007.png')
  report['complete'] = False
  (out / 'report.json').write_text(json.dumps(report))
  (out / 'notes.txt').write_text('mine')
  code, _, err = toy_runs.run(*arguments)
  assert code == 0, err
  assert set(toy_runs.content(out)) == {*before, 'notes.txt'}
  assert commands.assert_report(out / 'report.json')['complete']


def test_results_of_another_run_are_refused_or_replaced_as_a_whole(
  tmp_path, photo, out
):
  assert toy_runs.run(f'--image={photo}', f'--out={out}', '--copies=3')[0] == 0
  before = toy_runs.content(out)
  other = toy_runs.write(tmp_path / 'other.png', 0.5)
  for arguments, difference in (
    ((f'--image={photo}', '--copies=2'), 'copies was 3, is 2'),
    ((f'--image={photo}', '--copies=3', '--seed=1'), 'seed was 0, is 1'),
    ((f'--image={other}', '--copies=3'), f'of {photo}'),
    ((f'--image={photo},{other}', '--copies=3'), f'of {photo}'),
  ):
    code, _, err = toy_runs.run(*arguments, f'--out={out}')
    assert code == 2
    assert len(err.splitlines()) == 1
    assert difference in err
    assert '--overwrite' in err
    assert toy_runs.content(out) == before
  (out / 'notes.txt').write_text('mine')
  code, _, err = toy_runs.run(f'--image={other}', f'--out={out}', '--overwrite')
  assert code == 0, err
  assert set(toy_runs.content(out)) == {
    'copy_000.png',
    'index.html',
    'report.json',
    'notes.txt',
  }


def test_a_persons_own_file_is_never_replaced(photo, out):
  out.mkdir()
  for name in ('copy_000.png', 'report.json', 'index.html'):
    path = out / name
    path.write_text('{"mine": true}')
    for options in ((), ('--overwrite',)):
      code, _, err = toy_runs.run(f'--image={photo}', f'--out={out}', *options)
      assert code == 2
      assert f'`{path}` would be replaced' in err
    assert toy_runs.content(out) == {name: b'{"mine": true}'}
    path.unlink()


def test_a_report_cannot_name_files_outside_of_its_folder(photo, out):
  assert toy_runs.run(f'--image={photo}', f'--out={out}')[0] == 0
  report = json.loads((out / 'report.json').read_text())
  victim = out.parent / 'victim.txt'
  victim.write_text('mine')
  report['files'] += ['../victim.txt', str(victim)]
  (out / 'report.json').write_text(json.dumps(report))
  assert toy_runs.run(f'--image={photo}', f'--out={out}')[0] == 0
  assert victim.read_text() == 'mine'


def test_an_output_folder_that_cannot_be_made(photo, tmp_path):
  code, _, err = toy_runs.run(f'--image={photo}', f'--out={photo}/results')
  assert code == 2
  assert 'is a file' in err
