"""Several inputs of one command: folders, failures, continuing."""

import json
import pathlib

import numpy as np
import pytest

from tests.bin import commands, toy_runs


@pytest.fixture
def photo(tmp_path):
  return toy_runs.write(tmp_path / 'in' / 'photo.png')


@pytest.fixture
def out(tmp_path):
  return tmp_path / 'out'


def test_inputs_of_one_name_have_folders_that_differ(tmp_path, out):
  first = toy_runs.write(tmp_path / 'a' / 'photo.png', -0.5)
  second = toy_runs.write(tmp_path / 'b' / 'photo.png', 0.5)
  third = toy_runs.write(tmp_path / 'b' / 'PHOTO.tif')
  code, printed, err = toy_runs.run(
    f'--image={first},{second},{third}', f'--out={out}'
  )
  assert code == 0
  assert err.splitlines() == [
    f'idiff-toy: results of {second} are in the folder photo_2, as another'
    ' input is called photo too.',
    f'idiff-toy: results of {third} are in the folder PHOTO_3, as another'
    ' input is called PHOTO too.',
  ]
  assert printed.count('1 copies in') == 3
  means = [
    json.loads((out / name / 'report.json').read_text())['figures']['mean']
    for name in ('photo', 'photo_2', 'PHOTO_3')
  ]
  np.testing.assert_allclose(means, [-0.5, 0.5, 0], atol=0.01)
  whole = commands.assert_report(out / 'report.json')
  assert list(whole['figures']) == ['photo', 'photo_2', 'PHOTO_3']
  page = (out / 'index.html').read_text()
  assert 'src="photo_2/copy_000.png"' in page


def test_a_bad_file_does_not_end_a_batch(tmp_path, out):
  folder = tmp_path / 'photos'
  for name in ('one', 'two', 'ten10', 'ten9'):
    toy_runs.write(folder / f'{name}.png')
  toy_runs.write(folder / '._one.png')
  (folder / 'x.png').mkdir()
  bad = folder / 'bad.png'
  bad.write_bytes((folder / 'one.png').read_bytes()[:50])
  for number, image in enumerate((folder, f'{folder}/*.png')):
    here = out / str(number)
    code, printed, err = toy_runs.run(f'--image={image}', f'--out={here}')
    assert code == 3
    first, last = err.splitlines()
    assert f'{bad} failed:' in first
    assert last == f'idiff-toy: 1 of 5 inputs failed: {bad}'
    done = [pathlib.Path(line).name for line in printed.splitlines()]
    assert done == ['one', 'ten9', 'ten10', 'two']
    assert not (here / 'bad').exists()


def test_a_batch_is_replaced_as_a_whole(tmp_path, photo, out):
  second = toy_runs.write(tmp_path / 'second.png')
  assert toy_runs.run(f'--image={photo},{second}', f'--out={out}')[0] == 0
  assert (out / 'second').is_dir()
  assert toy_runs.run(f'--image={photo}', f'--out={out}', '--overwrite')[0] == 0
  assert set(toy_runs.content(out)) == {
    'copy_000.png',
    'index.html',
    'report.json',
  }
  assert not (out / 'second').exists()


def test_a_batch_continues_and_grows_without_doing_anything_twice(
  tmp_path, out
):
  folder = tmp_path / 'photos'
  names = ('one', 'two')
  for value, name in enumerate(names):
    toy_runs.write(folder / f'{name}.png', value / 2)
  arguments = (f'--image={folder}', f'--out={out}')
  assert toy_runs.run(*arguments)[0] == 0
  before = toy_runs.content(out)
  times = {
    name: (out / name / 'copy_000.png').stat().st_mtime_ns for name in names
  }
  code, printed, _ = toy_runs.run(*arguments)
  assert code == 0
  assert printed.count('done already') == 2
  assert toy_runs.content(out) == before
  # One is damaged, one is new, and a run was stopped in the middle of another.
  (out / 'two' / 'copy_000.png').unlink()
  toy_runs.write(folder / 'three.png')
  code, printed, _ = toy_runs.run(*arguments)
  assert code == 0
  assert printed.count('done already') == 1
  path = out / 'one' / 'copy_000.png'
  assert path.stat().st_mtime_ns == times['one']
  report = commands.assert_report(out / 'report.json')
  assert sorted(report['figures']) == ['one', 'three', 'two']
  assert set(report['files']) == set(toy_runs.content(out)) - {'report.json'}
  page = (out / 'index.html').read_text()
  assert page.count('<img') == 3
  # Overwrite does all again.
  code, printed, _ = toy_runs.run(*arguments, '--overwrite')
  assert printed.count('done already') == 0
  assert path.stat().st_mtime_ns != times['one']


def test_a_batch_that_was_killed_continues(tmp_path, out):
  folder = tmp_path / 'photos'
  for name in ('one', 'two'):
    toy_runs.write(folder / f'{name}.png')
  arguments = (f'--image={folder}', f'--out={out}', '--copies=2')
  assert toy_runs.run(*arguments)[0] == 0
  before = toy_runs.content(out)
  # What a kill in the middle of the second leaves.
  for name in ('index.html', 'two/copy_001.png', 'two/index.html'):
    (out / name).unlink()
  for place, files in (
    (out, ['one/report.json', 'two/report.json']),
    (out / 'two', ['copy_000.png', 'copy_001.png']),
  ):
    report = json.loads((place / 'report.json').read_text())
    report |= {'complete': False, 'files': files}
    (place / 'report.json').write_text(json.dumps(report))
  code, printed, err = toy_runs.run(*arguments)
  assert code == 0, err
  assert printed.count('done already') == 1
  assert toy_runs.content(out).keys() == before.keys()


def test_a_change_of_options_version_or_inputs_is_no_continuation(
  tmp_path, out
):
  folder = tmp_path / 'photos'
  for value, name in enumerate(('one', 'two', 'three')):
    toy_runs.write(folder / f'{name}.png', value / 4)
  arguments = (f'--image={folder}', f'--out={out}')
  assert toy_runs.run(*arguments)[0] == 0
  code, _, err = toy_runs.run(*arguments, '--copies=2')
  assert code == 2
  assert 'copies was 1, is 2' in err
  report = json.loads((out / 'one' / 'report.json').read_text())
  report['versions']['internal-diffusion'] = '0.0.1'
  (out / 'one' / 'report.json').write_text(json.dumps(report))
  assert toy_runs.run(*arguments)[1].count('done already') == 2
  (folder / 'one.png').unlink()
  code, _, err = toy_runs.run(*arguments)
  assert code == 2
  assert 'another run' in err
  assert toy_runs.run(*arguments, '--overwrite')[0] == 0
  assert not (out / 'one').exists()
