"""idiff-flow as a person runs it."""

import csv
import json
import shutil
from unittest import mock

import numpy as np
import pytest
import skimage.data
from PIL import Image

from internal_diffusion import figures
from internal_diffusion.data import flow_fields, flow_io, image_io
from tests.bin import commands

QUICK = (
  '--num_steps=100',
  '--width=16',
  '--batch_size=64',
  '--num_fields=1',
  '--num_warps=2',
  '--num_samples=2',
)
CLOSED_FORM = ('--denoiser=closed_form', '--num_warps=1', '--num_samples=2')


def run(*arguments):
  return commands.run('flow', *arguments)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  path = tmp_path_factory.mktemp('frames')
  photo = (skimage.data.coffee()[100:320:4, 100:340:4] / 127.5 - 1).astype('f4')
  flow = flow_fields.translation(photo.shape[:2], displacement=(1.5, 0.5))
  pair = flow_fields.make_pair(photo, flow, margin=4)
  for name, frame in (('a', pair.first), ('b', pair.second)):
    image_io.write_image(path / f'{name}.png', np.clip(frame, -1, 1))
  image_io.write_image(path / 'small.png', photo[:20, :20])
  image_io.write_image(path / 'grey.png', np.asarray(pair.first)[..., :1])
  flow_io.write_flow(path / 'truth.flo', np.asarray(pair.flow))
  mask = np.full((*pair.first.shape[:2], 1), -1, np.float32)
  mask[:20, :30] = 1
  image_io.write_image(path / 'mask.png', mask)
  image_io.write_image(path / 'white.png', np.ones_like(mask))
  return path


@pytest.fixture(scope='module')
def found(folder, tmp_path_factory):
  path = tmp_path_factory.mktemp('flow')
  # A figure that cannot be drawn loses no result.
  with mock.patch.object(figures, 'ellipses', side_effect=RuntimeError('no')):
    code, out, err = run(
      f'--frames={folder / "a.png"},{folder / "b.png"}',
      f'--out={path}',
      f'--workdir={path / "model"}',
      f'--truth={folder / "truth.flo"}',
      '--points=10:12,20:22',
      *QUICK,
    )
  assert code == 0, err
  assert 'endpoint error' in out
  assert 'ellipses.png` could not be drawn' in err
  return path


def test_writes_flow_figures_result_and_report(found):
  assert {p.name for p in found.iterdir() if p.is_file()} == {
    'flow.flo',
    'flow_kitti.png',
    'flow.png',
    'confidence.png',
    'warp_check.png',
    'motion.gif',
    'points.png',
    'result.npz',
    'vectors.csv',
    'vectors.nc',
    'vectors.png',
    'report.json',
    'index.html',
  }
  with np.load(found / 'result.npz') as result:
    height, width = result['mean'].shape[:2]
    assert result['covariance'].shape == (height, width, 2, 2)
    assert result['samples'].shape == (2, height, width, 2)
    assert result['mode'].shape == (height, width, 2)
    assert result['occluded'].shape == (height, width)
    assert result['occlusion'].shape == (height, width)
    assert result['modes'].shape == (height, width, 4, 2)
    assert result['mode_weights'].shape == (height, width, 4)
    for name in ('flow.flo', 'flow_kitti.png'):
      flow, valid = flow_io.read_flow(found / name)
      assert valid.all()
      np.testing.assert_allclose(flow, result['mean'], atol=1 / 64)
  report = json.loads((found / 'report.json').read_text())
  assert report['figures']['aepe'] < 0.5
  assert report['seconds']['compile'] > 0
  with Image.open(found / 'motion.gif') as animation:
    assert animation.n_frames > 4


def test_a_trained_model_gives_the_same_flow_without_training(
  folder, found, tmp_path
):
  code, _, err = run(
    f'--frames={folder / "a.png"},{folder / "b.png"}',
    f'--out={tmp_path}',
    f'--workdir={found / "model"}',
    f'--mask={folder / "mask.png"}',
    '--grid=2',
    *QUICK,
  )
  assert code == 0, err
  assert 'training' not in err
  flow, known = flow_io.read_flow(tmp_path / 'flow.flo')
  before = flow_io.read_flow(found / 'flow.flo')[0]
  np.testing.assert_allclose(flow[known], before[known], atol=1e-3)
  mask = image_io.read_image(folder / 'mask.png')[..., 0] > 0
  np.testing.assert_array_equal(known, ~mask)
  with np.load(tmp_path / 'result.npz') as result:
    for name in ('mean', 'mode'):
      np.testing.assert_array_equal(np.isnan(result[name][..., 0]), mask)
    covariance, occlusion = result['covariance'], result['occlusion']
  np.testing.assert_array_equal(np.isinf(covariance[..., 0, 0]), mask)
  # Neither masked nor occluded pixels have vectors.
  hidden = mask | (occlusion > 0.5)
  assert (occlusion[1::2, 1::2] > 0.5).any()
  with open(tmp_path / 'vectors.csv') as file:
    for row in csv.DictReader(file):
      is_hidden = hidden[int(row['y']), int(row['x'])]
      assert (row['valid'] == '0') == is_hidden
      assert (row['u'] == 'nan') == (row['sigma_u'] == 'inf') == is_hidden


def test_options_unlike_those_of_the_saved_model_are_refused(
  folder, found, tmp_path
):
  code, _, err = run(
    f'--frames={folder / "a.png"},{folder / "b.png"}',
    f'--out={tmp_path}',
    f'--workdir={found / "model"}',
    '--width=32',
  )
  assert '--width is 32' in err
  assert 'learnt with 16' in err
  commands.assert_one_line_and_nothing_written(code, err, tmp_path)


def test_a_folder_is_a_sequence_in_natural_order(folder, tmp_path):
  frames = tmp_path / 'frames'
  frames.mkdir()
  for name, number in (('a', 1), ('b', 2), ('a', 10)):
    shutil.copy(folder / f'{name}.png', frames / f'frame{number}.png')
  out = tmp_path / 'out'
  code, _, err = run(f'--frames={frames}', f'--out={out}', *CLOSED_FORM)
  assert code == 0, err
  there, back = (
    flow_io.read_flow(out / name / 'flow.flo')[0]
    for name in ('000_001', '001_002')
  )
  assert np.median(there[..., 0]) > 0.7
  assert np.median(back[..., 0]) < -0.7


@pytest.mark.parametrize(
  ('frames', 'options', 'message'),
  [
    (('a.png',), (), 'two frames or more'),
    (('a.png', 'small.png'), (), 'one size'),
    (('a.png', 'grey.png'), (), 'all be grey or all be coloured'),
    (('small.png', 'small.png'), (), '24x24'),
    (('a.png', 'b.png'), ('--points=500:2',), 'within'),
    (('a.png', 'b.png'), ('--points=x',), '10:20'),
    (('a.png', 'b.png'), ('--minutes=0',), 'minutes'),
    (('a.png', 'b.png'), ('--num_samples=1',), 'num_samples'),
    (('a.png', 'b.png'), ('--denoiser=x',), 'denoiser'),
    (('a.png', 'b.png'), ('--train_on=x',), 'train_on'),
    (('a.png', 'b.png'), ('--truth=missing.flo',), 'There is no file'),
    (('a.png', 'b.png'), ('--max_window=30',), '--max_window is for particles'),
    (('a.png', 'b.png'), ('--mask=DIR/white.png',), 'white everywhere'),
    (('a.png', 'b.png'), ('--workdir=DIR/a.png/model',), 'a.png is a file'),
  ],
)
def test_bad_input_is_one_line(folder, tmp_path, frames, options, message):
  names = ','.join(str(folder / name) for name in frames)
  options = [option.replace('DIR', str(folder)) for option in options]
  code, _, err = run(f'--frames={names}', f'--out={tmp_path}', *options)
  assert message in err
  commands.assert_one_line_and_nothing_written(code, err, tmp_path)
