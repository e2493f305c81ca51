"""The parts that all commands share, tried with a toy command."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from internal_diffusion import compilation
from internal_diffusion.bin import config_files, inputs
from internal_diffusion.bin.owned_folder import OwnedFolder
from internal_diffusion.bin.results import Results
from internal_diffusion.data import image_io
from tests.bin import commands, toy

TOY = 'from tests.bin import toy; toy.reset(); toy.run()'


def run(*arguments, **options):
  toy.reset()
  return commands.run_function(toy.run, *arguments, **options)


def write(path, value=0.0):
  image_io.write_image(path, np.full((6, 8, 3), value, np.float32))
  return path


def content(folder):
  """All files of a folder by relative path, with their bytes."""
  return {
    str(path.relative_to(folder)): path.read_bytes()
    for path in folder.rglob('*')
    if path.is_file()
  }


@pytest.fixture
def photo(tmp_path):
  return write(tmp_path / 'in' / 'photo.png')


@pytest.fixture
def out(tmp_path):
  return tmp_path / 'out'


def test_a_run_writes_results_report_and_page(photo, out):
  code, printed, err = run(f'--image={photo}', f'--out={out}', '--copies=2')
  assert (code, err) == (0, '')
  assert printed == f'idiff-toy: 2 copies in {out}\n'
  assert set(content(out)) == {
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
  code, printed, err = run('--help')
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
  code, printed, _ = run('--version')
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
  code, _, err = run(f'--out={out}', *given)
  commands.assert_one_line_and_nothing_written(code, err, out)
  assert message in err
  assert not out.exists()


def test_inputs_of_one_name_have_folders_that_differ(tmp_path, out):
  first = write(tmp_path / 'a' / 'photo.png', -0.5)
  second = write(tmp_path / 'b' / 'photo.png', 0.5)
  third = write(tmp_path / 'b' / 'PHOTO.tif')
  code, printed, err = run(f'--image={first},{second},{third}', f'--out={out}')
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


@pytest.mark.parametrize('name', ['mean.png', 'copy_001.png', 'index.html'])
def test_an_input_is_never_an_output(tmp_path, name):
  path = write(tmp_path / 'here.png').rename(tmp_path / name)
  before = content(tmp_path)
  for options in ((), ('--overwrite',)):
    code, _, err = run(f'--image={path}', f'--out={tmp_path}', *options)
    assert code == 2
    assert f'`{path}` is an input and would be replaced' in err
  assert content(tmp_path) == before


def test_results_beside_an_input_of_another_name(photo):
  code, _, err = run(f'--image={photo}', f'--out={photo.parent}')
  assert code == 0, err
  assert image_io.read_image(photo).shape == (6, 8, 3)


def test_the_same_command_again_leaves_nothing_stale(photo, out):
  arguments = (f'--image={photo}', f'--out={out}', '--copies=2')
  assert run(*arguments)[0] == 0
  before = set(content(out))
  # As if the run before this one had been stopped in the middle.
  report = json.loads((out / 'report.json').read_text())
  (out / 'copy_007.png').write_bytes(b'stale')
  report['files'].append('copy_007.png')
  report['complete'] = False
  (out / 'report.json').write_text(json.dumps(report))
  (out / 'notes.txt').write_text('mine')
  code, _, err = run(*arguments)
  assert code == 0, err
  assert set(content(out)) == {*before, 'notes.txt'}
  assert commands.assert_report(out / 'report.json')['complete']


def test_results_of_another_run_are_refused_or_replaced_as_a_whole(
  tmp_path, photo, out
):
  assert run(f'--image={photo}', f'--out={out}', '--copies=3')[0] == 0
  before = content(out)
  other = write(tmp_path / 'other.png', 0.5)
  for arguments, difference in (
    ((f'--image={photo}', '--copies=2'), 'copies was 3, is 2'),
    ((f'--image={photo}', '--copies=3', '--seed=1'), 'seed was 0, is 1'),
    ((f'--image={other}', '--copies=3'), f'of {photo}'),
    ((f'--image={photo},{other}', '--copies=3'), f'of {photo}'),
  ):
    code, _, err = run(*arguments, f'--out={out}')
    assert code == 2
    assert len(err.splitlines()) == 1
    assert difference in err
    assert '--overwrite' in err
    assert content(out) == before
  (out / 'notes.txt').write_text('mine')
  code, _, err = run(f'--image={other}', f'--out={out}', '--overwrite')
  assert code == 0, err
  assert set(content(out)) == {
    'copy_000.png',
    'index.html',
    'report.json',
    'notes.txt',
  }


def test_a_batch_is_replaced_as_a_whole(tmp_path, photo, out):
  second = write(tmp_path / 'second.png')
  assert run(f'--image={photo},{second}', f'--out={out}')[0] == 0
  assert (out / 'second').is_dir()
  assert run(f'--image={photo}', f'--out={out}', '--overwrite')[0] == 0
  assert set(content(out)) == {'copy_000.png', 'index.html', 'report.json'}
  assert not (out / 'second').exists()


def test_a_persons_own_file_is_never_replaced(photo, out):
  out.mkdir()
  for name in ('copy_000.png', 'report.json', 'index.html'):
    path = out / name
    path.write_text('{"mine": true}')
    for options in ((), ('--overwrite',)):
      code, _, err = run(f'--image={photo}', f'--out={out}', *options)
      assert code == 2
      assert f'`{path}` would be replaced' in err
    assert content(out) == {name: b'{"mine": true}'}
    path.unlink()


def test_a_report_cannot_name_files_outside_of_its_folder(photo, out):
  assert run(f'--image={photo}', f'--out={out}')[0] == 0
  report = json.loads((out / 'report.json').read_text())
  victim = out.parent / 'victim.txt'
  victim.write_text('mine')
  report['files'] += ['../victim.txt', str(victim)]
  (out / 'report.json').write_text(json.dumps(report))
  assert run(f'--image={photo}', f'--out={out}')[0] == 0
  assert victim.read_text() == 'mine'


def test_a_bad_file_does_not_end_a_batch(tmp_path, out):
  folder = tmp_path / 'photos'
  for name in ('one', 'two', 'ten10', 'ten9'):
    write(folder / f'{name}.png')
  write(folder / '._one.png')
  (folder / 'x.png').mkdir()
  bad = folder / 'bad.png'
  bad.write_bytes((folder / 'one.png').read_bytes()[:50])
  for number, image in enumerate((folder, f'{folder}/*.png')):
    here = out / str(number)
    code, printed, err = run(f'--image={image}', f'--out={here}')
    assert code == 3
    first, last = err.splitlines()
    assert f'{bad} failed:' in first
    assert last == f'idiff-toy: 1 of 5 inputs failed: {bad}'
    done = [pathlib.Path(line).name for line in printed.splitlines()]
    assert done == ['one', 'ten9', 'ten10', 'two']
    assert not (here / 'bad').exists()


def test_a_single_bad_file_is_an_error(tmp_path, out):
  bad = tmp_path / 'bad.png'
  bad.write_bytes(b'no image')
  code, _, err = run(f'--image={bad}', f'--out={out}')
  commands.assert_one_line_and_nothing_written(code, err, out)


def test_home_is_expanded_in_every_path(tmp_path, photo, monkeypatch):
  monkeypatch.setenv('HOME', str(photo.parent))
  code, _, err = run('--image=~/photo.png', '--out=~/results', folder=tmp_path)
  assert code == 0, err
  assert (photo.parent / 'results' / 'report.json').exists()
  assert not (tmp_path / '~').exists()
  config = config_files.ml_collections.ConfigDict(
    {'image': '~/a.png', 'inner': {'path': '~', 'name': 'a~b'}}
  )
  config_files.expand_paths(config)
  assert config.image == str(photo.parent / 'a.png')
  assert config.inner.to_dict() == {'path': str(photo.parent), 'name': 'a~b'}


def test_an_output_folder_that_cannot_be_made(photo, tmp_path):
  code, _, err = run(f'--image={photo}', f'--out={photo}/results')
  assert code == 2
  assert 'is a file' in err


@pytest.mark.parametrize('arguments', [['--help'], ['--image={a},{b},{c}']])
def test_standard_output_that_goes_away_ends_nothing(tmp_path, out, arguments):
  names = {name: write(tmp_path / f'{name}.png') for name in 'abc'}
  reader, writer = os.pipe()
  os.close(reader)
  with open(writer, 'w') as stream:
    code, _, err = run(
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


def test_times_split_a_run_into_its_parts(tmp_path):
  folder = OwnedFolder(
    tmp_path, command='c', settings={}, seed=0, inputs=[], outputs=[]
  )
  meter = compilation.CompileMeter()
  results = Results(folder, meter, name='a', inputs=[], several=False)
  meter.seconds = 1e-4
  total = results.lap('setup') + results.lap('run')
  assert results.seconds['compile'] == pytest.approx(1e-4)
  assert results.seconds['setup'] + results.seconds['run'] == total


def test_names_are_in_natural_order(tmp_path):
  for name in ('f10.png', 'f2.png', 'f1.png', 'c[1].png'):
    (tmp_path / name).touch()
  found = inputs.find_files(
    [f'{tmp_path}/f2.png', f'{tmp_path}/c[1].png', f'{tmp_path}/*.png']
  )
  names = ['f2.png', 'c[1].png', 'f1.png', 'f10.png']
  assert [path.name for path in found] == names
  found = inputs.find_pictures([f'{tmp_path}/f2.png'] * 2, repeated=True)
  assert len(found) == 2


def test_a_configuration_is_found_from_any_folder(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  own = tmp_path / 'own.py'
  own.write_text('')
  for name in ('cascade', 'cascade.py', 'configs/cascade.py'):
    assert config_files.find_config(name).name == 'cascade.py'
  assert config_files.find_config('own.py').resolve() == own
  assert config_files.config_first(['--seed=1', '--config', 'own.py'], own) == [
    '--config=own.py',
    '--seed=1',
  ]
  with pytest.raises(FileNotFoundError) as error:
    config_files.find_config('configs/nothing.py')
  for word in ('configs/nothing.py', str(tmp_path), 'cascade', 'patch'):
    assert word in str(error.value)


def test_a_batch_continues_and_grows_without_doing_anything_twice(
  tmp_path, out
):
  folder = tmp_path / 'photos'
  names = ('one', 'two')
  for value, name in enumerate(names):
    write(folder / f'{name}.png', value / 2)
  arguments = (f'--image={folder}', f'--out={out}')
  assert run(*arguments)[0] == 0
  before = content(out)
  times = {
    name: (out / name / 'copy_000.png').stat().st_mtime_ns for name in names
  }
  code, printed, _ = run(*arguments)
  assert code == 0
  assert printed.count('done already') == 2
  assert content(out) == before
  # One is damaged, one is new, and a run was stopped in the middle of another.
  (out / 'two' / 'copy_000.png').unlink()
  write(folder / 'three.png')
  code, printed, _ = run(*arguments)
  assert code == 0
  assert printed.count('done already') == 1
  path = out / 'one' / 'copy_000.png'
  assert path.stat().st_mtime_ns == times['one']
  report = commands.assert_report(out / 'report.json')
  assert sorted(report['figures']) == ['one', 'three', 'two']
  assert set(report['files']) == set(content(out)) - {'report.json'}
  page = (out / 'index.html').read_text()
  assert page.count('<img') == 3
  # Overwrite does all again.
  code, printed, _ = run(*arguments, '--overwrite')
  assert printed.count('done already') == 0
  assert path.stat().st_mtime_ns != times['one']


def test_a_batch_that_was_killed_continues(tmp_path, out):
  folder = tmp_path / 'photos'
  for name in ('one', 'two'):
    write(folder / f'{name}.png')
  arguments = (f'--image={folder}', f'--out={out}', '--copies=2')
  assert run(*arguments)[0] == 0
  before = content(out)
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
  code, printed, err = run(*arguments)
  assert code == 0, err
  assert printed.count('done already') == 1
  assert content(out).keys() == before.keys()


def test_a_change_of_options_version_or_inputs_is_no_continuation(
  tmp_path, out
):
  folder = tmp_path / 'photos'
  for value, name in enumerate(('one', 'two', 'three')):
    write(folder / f'{name}.png', value / 4)
  arguments = (f'--image={folder}', f'--out={out}')
  assert run(*arguments)[0] == 0
  code, _, err = run(*arguments, '--copies=2')
  assert code == 2
  assert 'copies was 1, is 2' in err
  report = json.loads((out / 'one' / 'report.json').read_text())
  report['versions']['internal-diffusion'] = '0.0.1'
  (out / 'one' / 'report.json').write_text(json.dumps(report))
  assert run(*arguments)[1].count('done already') == 2
  (folder / 'one.png').unlink()
  code, _, err = run(*arguments)
  assert code == 2
  assert 'another run' in err
  assert run(*arguments, '--overwrite')[0] == 0
  assert not (out / 'one').exists()
