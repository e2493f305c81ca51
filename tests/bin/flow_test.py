"""idiff-flow as a person runs it."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import skimage.data
from PIL import Image

from internal_diffusion.data import flow_fields, flow_io, image_io

ROOT = pathlib.Path(__file__).parents[2]


def run(*arguments):
  done = subprocess.run(
    [sys.executable, '-m', 'internal_diffusion.bin.flow', *arguments],
    cwd=ROOT,
    capture_output=True,
    text=True,
    timeout=300,
  )
  return done.returncode, done.stdout, done.stderr


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
  code, out, err = run(
    f'--frames={folder / "a.png"},{folder / "b.png"}',
    f'--out={path}',
    f'--truth={folder / "truth.flo"}',
    '--points=10:12,20:22',
    '--minutes=0.05',
    '--num_samples=4',
  )
  assert code == 0, err
  assert 'endpoint error' in out
  return path


def test_writes_flow_pictures_result_and_report(found):
  assert {p.name for p in found.iterdir()} == {
    'flow.flo',
    'flow_kitti.png',
    'flow.png',
    'confidence.png',
    'ellipses.png',
    'warp_check.png',
    'motion.gif',
    'points.png',
    'result.npz',
    'report.json',
  }
  with np.load(found / 'result.npz') as result:
    height, width = result['mean'].shape[:2]
    assert result['covariance'].shape == (height, width, 2, 2)
    assert result['samples'].shape == (4, height, width, 2)
    assert result['mode'].shape == (height, width, 2)
    assert result['hidden'].shape == (height, width)
    for name in ('flow.flo', 'flow_kitti.png'):
      flow, valid = flow_io.read_flow(found / name)
      assert valid.all()
      np.testing.assert_allclose(flow, result['mean'], atol=1 / 64)
  report = json.loads((found / 'report.json').read_text())
  assert report['figures']['aepe'] < 0.5
  with Image.open(found / 'motion.gif') as animation:
    assert animation.n_frames > 4


def test_three_frames_are_two_pairs(folder, tmp_path):
  frames = ','.join(str(folder / name) for name in ('a.png', 'b.png', 'a.png'))
  code, _, err = run(
    f'--frames={frames}',
    f'--out={tmp_path}',
    '--denoiser=closed_form',
    '--num_samples=2',
  )
  assert code == 0, err
  for name in ('000_001', '001_002'):
    assert (tmp_path / name / 'flow.flo').exists()


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
  assert code == 2
  assert message in err
  assert err.count('\n') == 1
  assert not list(tmp_path.iterdir())
