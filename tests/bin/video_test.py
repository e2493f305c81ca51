"""idiff-video as a person runs it."""

import json

import numpy as np
import pytest

from internal_diffusion.bin import video
from internal_diffusion.data import clip_io, image_io
from tests.applications.video import moving
from tests.bin import commands

FRAMES = moving.moved((1.0, 0.5), 6, size=(32, 40))


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  path = tmp_path_factory.mktemp('clips')
  clip_io.write_frames(path / 'frames', FRAMES)
  clip_io.write_frames(path / 'one', FRAMES[:1])
  mask = np.full((32, 40, 1), -1, np.float32)
  mask[10:18, 12:20] = 1
  image_io.write_image(path / 'mask.png', mask)
  clip_io.write_frames(path / 'masks', [mask] * 5)
  clip_io.write_frames(path / 'sizes', FRAMES)
  image_io.write_image(path / 'sizes' / '002.png', FRAMES[2, 1:])
  clip_io.write_frames(path / 'grey', [0 * FRAMES[0]] * 3)
  clip_io.write_frames(path / 'corrupt', FRAMES)
  whole = (path / 'corrupt' / '003.png').read_bytes()
  (path / 'corrupt' / '003.png').write_bytes(whole[: len(whole) // 2])
  (path / 'film.ogv').write_bytes(b'no film')
  return path


def run(folder, out, *arguments):
  arguments = [argument.format(folder=folder) for argument in arguments]
  return commands.run('video', *arguments, f'--out={out}')


def test_one_frame(folder, tmp_path):
  code, printed, err = run(
    folder,
    tmp_path,
    '--task=interpolate',
    '--clip={folder}/frames',
    '--at=3',
    '--num_samples=2',
  )
  assert code == 0, err
  assert 'interpolate: 1 frames' in printed
  assert {p.name for p in tmp_path.iterdir()} == {
    'mean.png',
    'sample_000.png',
    'sample_001.png',
    'result.npz',
    'strip.png',
    'uncertainty.png',
    'report.json',
    'index.html',
  }
  result = np.load(tmp_path / 'result.npz')
  assert result['mean'].shape == (1, 32, 40, 3)
  assert result['std'].shape == (1, 32, 40)
  report = json.loads((tmp_path / 'report.json').read_text())
  assert report['figures']['frame_was_missing'] is False


def test_several_frames(folder, tmp_path):
  code, _, err = run(
    folder,
    tmp_path,
    '--task=predict',
    '--clip={folder}/frames',
    '--num_frames=2',
    '--num_samples=1',
  )
  assert code == 0, err
  report = json.loads((tmp_path / 'report.json').read_text())
  assert 'mean/000.png' in report['files']
  for name in ('mean', 'sample_000'):
    assert (tmp_path / f'{name}/001.png').exists()
    assert (tmp_path / f'{name}.gif').exists()
    assert (tmp_path / f'{name}.mp4').exists() == clip_io_has_ffmpeg()


def clip_io_has_ffmpeg():
  from internal_diffusion.data.clip_coding import has_ffmpeg

  return has_ffmpeg()


def test_fill_keeps_known_pixels(folder, tmp_path):
  code, _, err = run(
    folder,
    tmp_path,
    '--task=fill',
    '--clip={folder}/frames',
    '--mask={folder}/mask.png',
    '--num_samples=1',
  )
  assert code == 0, err
  given = image_io.read_image(folder / 'frames' / '004.png')
  filled = image_io.read_image(tmp_path / 'mean' / '004.png')
  known = np.ones((32, 40), bool)
  known[10:18, 12:20] = False
  np.testing.assert_array_equal(filled[known], given[known])


@pytest.mark.parametrize(
  ('arguments', 'text'),
  [
    ([], '--clip is required'),
    (['--clip={folder}/none'], 'There is no clip'),
    (['--clip={folder}/one'], 'two frames'),
    (['--clip={folder}/frames', '--at=6'], '--at must be from 1 to 5'),
    (
      ['--clip={folder}/frames', '--task=predict', '--num_frames=7'],
      '--num_frames',
    ),
    (
      ['--clip={folder}/frames', '--task=fill', '--mask={folder}/masks'],
      'each of the 6 frames, got 5',
    ),
    (['--clip={folder}/frames', '--task=fill'], '--mask'),
    (['--clip={folder}/mask.png'], 'two frames'),
    (['--clip={folder}/sizes'], '002.png` is 31x40'),
    (['--clip={folder}/frames', '--at=3', '--factor=4'], '--factor is for all'),
    (['--clip={folder}/frames', '--at=x'], 'whole number, got x'),
    (['--clip={folder}/grey'], 'one colour'),
    (['--clip={folder}/corrupt'], '003.png'),
    (['--clip={folder}/film.ogv'], 'readable are .gif'),
    (
      ['--clip={folder}/frames', '--task=generate', '--size=90000x90000'],
      '--num_frames 6 of --size 90000x90000',
    ),
    (['--clip={folder}/frames', '--task=generate', '--num_frames=2'], '--size'),
    (['--clip={folder}/frames', '--factor=1.5'], 'whole number'),
  ],
)
def test_a_mistake_is_one_line_and_writes_nothing(
  folder, tmp_path, arguments, text
):
  out = tmp_path / 'out'
  code, printed, err = run(folder, out, *arguments)
  assert (code, printed) == (2, '')
  assert err.count('\n') == 1
  assert text in err
  assert not out.exists()


def test_again_with_other_options_replaces_folders_of_frames(folder, tmp_path):
  arguments = ('--task=interpolate', '--clip={folder}/frames', '--last=4')
  arguments += ('--num_samples=0',)
  for more in ((), (), ('--seed=1', '--overwrite')):
    code, _, err = run(folder, tmp_path / 'out', *arguments, *more)
    assert code == 0, err
  own = tmp_path / 'out' / 'mean' / 'mine.png'
  own.write_bytes(b'mine')
  shown = video._made(
    video.Filmed(None, np.load(tmp_path / 'out/result.npz')['std'], None, 1, {})
  )
  np.testing.assert_array_equal(shown, [1, 3, 5])
  more = ('--num_samples=0', '--at=1', '--overwrite')
  code, _, err = run(folder, tmp_path / 'out', '--clip={folder}/frames', *more)
  assert code == 0, err
  assert own.read_bytes() == b'mine'
  assert [p.name for p in own.parent.iterdir()] == ['mine.png']


def test_results_are_not_written_among_the_frames(folder):
  before = sorted((folder / 'frames').iterdir())
  code, _, err = run(folder, folder / 'frames', '--clip={folder}/frames')
  assert code == 2
  assert '--out must be another folder than that of --clip' in err
  assert sorted((folder / 'frames').iterdir()) == before
