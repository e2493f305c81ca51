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
from tests.applications.measurement.particle_images import particles, turn
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
    *QUICK,
  )
  assert code == 0, err
  assert 'training' not in err
  np.testing.assert_allclose(
    flow_io.read_flow(tmp_path / 'flow.flo')[0],
    flow_io.read_flow(found / 'flow.flo')[0],
    atol=1e-3,
  )


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
    (('a.png', 'b.png'), ('--truth=missing.flo',), 'missing.flo'),
  ],
)
def test_bad_input_is_one_line(folder, tmp_path, frames, options, message):
  names = ','.join(str(folder / name) for name in frames)
  code, _, err = run(f'--frames={names}', f'--out={tmp_path}', *options)
  assert message in err
  commands.assert_one_line_and_nothing_written(code, err, tmp_path)


@pytest.fixture(scope='module')
def particle_folder(tmp_path_factory):
  path = tmp_path_factory.mktemp('particles')
  for seed in range(2):
    for name, frame in zip('ab', particles(seed, turn(0.05)), strict=True):
      image_io.write_image(path / f'{seed}{name}.png', frame)
  image_io.write_image(path / 'odd.png', frame[:50])
  mask = np.full(frame.shape, -1, np.float32)
  mask[:40, :40] = 1
  image_io.write_image(path / 'mask.png', mask)
  return path


def test_particles_are_found_and_measured_with_units(particle_folder, tmp_path):
  names = ('0a', '0b', '1a', '1b', '0a', 'odd')
  code, out, err = run(
    '--frames=' + ','.join(str(particle_folder / f'{n}.png') for n in names),
    '--double_frames',
    f'--mask={particle_folder / "mask.png"}',
    '--pixels_per_mm=10',
    '--dt=0.5',
    '--num_pairs=1',
    f'--workdir={tmp_path / "model"}',
    f'--out={tmp_path / "out"}',
  )
  assert code == 0, err
  assert 'taken for particles' in out
  assert 'odd.png is left out' in err
  first = tmp_path / 'out' / '000_001'
  assert {p.name for p in first.iterdir()} == {
    *('flow.flo', 'flow.png', 'vectors.png', 'residuals.png'),
    *('reliability.png', 'vectors.csv', 'vectors.nc', 'result.npz'),
    *('report.json', 'index.html'),
  }
  with open(first / 'vectors.csv') as file:
    rows = list(csv.DictReader(file))
  assert len(rows) == 36
  assert rows[0] | {'u': 'nan', 'sigma_u': 'inf', 'valid': '0'} == rows[0]
  row = rows[21]  # x = 56 and y = 56 pixels.
  assert row['valid'] == '1'
  assert row['unit_u'] == 'mm/s'
  assert float(row['u']) == pytest.approx(-0.05 * 8.5 / 5, abs=0.02)
  assert float(row['vorticity']) == pytest.approx(0.2, abs=0.05)
  with np.load(first / 'result.npz') as result:
    assert np.isnan(result['mean'][10, 10]).all()
    assert result['covariance'].shape == (96, 96, 2, 2)
  with open(tmp_path / 'out' / 'ensemble.csv') as file:
    mean = list(csv.DictReader(file))[21]
  assert mean['number'] == '2'
  assert (tmp_path / 'out' / 'vectors.nc').exists()


@pytest.mark.parametrize(
  ('options', 'message'),
  [
    (('--grid=97',), '--grid'),
    (('--dt=0',), '--dt'),
    (('--kind=fluid',), '--kind'),
    (('--mask=DIR/odd.png',), '--mask must have the size'),
    (
      ('--double_frames', '--frames=DIR/0a.png,DIR/0b.png,DIR/1a.png'),
      'even number',
    ),
  ],
)
def test_bad_measurement_is_one_line(
  particle_folder, tmp_path, options, message
):
  code, _, err = run(
    f'--frames={particle_folder / "0a.png"},{particle_folder / "0b.png"}',
    f'--out={tmp_path}',
    '--kind=particles',
    *(option.replace('DIR', str(particle_folder)) for option in options),
  )
  assert code == 2
  assert message in err
  assert len(err.strip().splitlines()) == 1
