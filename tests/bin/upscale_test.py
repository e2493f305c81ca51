"""idiff-upscale as a person runs it."""

import dataclasses
import json
import signal
from unittest import mock

import numpy as np
import pytest
import skimage.data
from PIL import Image

from internal_diffusion.applications import super_resolution
from internal_diffusion.applications.super_resolution.options import (
  RegressionOptions,
  UpscaleOptions,
)
from internal_diffusion.data import image_io, metadata
from tests.bin import commands

QUICK = (
  '--num_steps=2',
  '--batch_size=16',
  '--num_samples=2',
  '--num_rounds=1',
  '--num_devices=1',
)
TINY = RegressionOptions(width=16, depth=1)


@dataclasses.dataclass(frozen=True)
class TinyOptions(UpscaleOptions):
  __doc__ = UpscaleOptions.__doc__

  mean_network: RegressionOptions = TINY
  scale_network: RegressionOptions = TINY
  num_components: int = 4


def run(*arguments):
  with mock.patch.object(super_resolution, 'UpscaleOptions', TinyOptions):
    return commands.run('upscale', *arguments)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  path = tmp_path_factory.mktemp('images')
  image = 2 * skimage.data.coffee()[100:340:8, 100:340:8] / 255.0 - 1
  # 30x30 pixels.
  kept = metadata.Metadata(dpi=(300.0, 300.0))
  image_io.write_image(path / 'coffee.png', image, metadata=kept)
  image_io.write_image(path / 'tiny.png', image[:10, :10])
  return path


@pytest.fixture(scope='module')
def upscaled(folder, tmp_path_factory):
  path = tmp_path_factory.mktemp('upscaled')
  code, out, err = run(
    f'--image={folder / "coffee.png"}',
    '--factor=1.5',
    f'--workdir={path / "model"}',
    f'--out={path / "out"}',
    *QUICK,
  )
  assert code == 0, err
  assert 'coffee.png is 45x45' in out
  return path


def test_writes_mean_samples_uncertainty_page_and_report(upscaled):
  out = upscaled / 'out'
  assert {p.name for p in out.iterdir()} == {
    'input.png',
    'mean.png',
    'sample_000.png',
    'sample_001.png',
    'std.png',
    'result.npz',
    'index.html',
    'report.json',
  }
  for name in ('mean', 'sample_000'):
    with Image.open(out / f'{name}.png') as picture:
      assert picture.size == (45, 45)
      assert picture.info['dpi'] == pytest.approx((300, 300), abs=0.02)
  with np.load(out / 'result.npz') as found:
    assert found['mean'].shape == (45, 45, 3)
    assert found['samples'].shape == (2, 45, 45, 3)
    assert found['std'].shape == (45, 45, 3)
    assert (found['low'] < found['mean']).any()
    assert (found['low'] <= found['high']).all()
    assert np.ptp(found['samples'], axis=0).max() > 0
  report = json.loads((out / 'report.json').read_text())
  assert report['settings']['factor'] == 1.5
  assert report['figures']['size'] == [45, 45]
  assert report['seconds']['compile'] > 0


def test_a_model_serves_another_image(folder, upscaled, tmp_path):
  code, _, err = run(
    f'--image={folder / "tiny.png"}',
    f'--workdir={upscaled / "model"}',
    f'--out={tmp_path}',
    '--num_samples=2',
  )
  assert code == 0, err
  with Image.open(tmp_path / 'sample_001.png') as picture:
    assert picture.size == (20, 20)


def test_each_of_several_images_has_a_model_of_its_own(folder, tmp_path):
  (tmp_path / 'images').mkdir()
  image = image_io.read_image(folder / 'coffee.png')
  for name in ('a', 'b'):
    image_io.write_image(tmp_path / 'images' / f'{name}.png', image)
    image = image[::-1]
  code, _, err = run(
    f'--image={tmp_path / "images"}',
    f'--workdir={tmp_path / "models"}',
    f'--out={tmp_path / "out"}',
    '--mean_only',
    *QUICK,
  )
  assert code == 0, err
  for name in ('a', 'b'):
    assert (tmp_path / 'models' / name / 'model').is_dir()
    assert (tmp_path / 'out' / name / 'mean.png').exists()
    assert not (tmp_path / 'out' / name / 'std.png').exists()


@pytest.mark.parametrize(
  ('arguments', 'words'),
  [
    ((), ('--image',)),
    (('--image={folder}/coffee.png', '--factor=1'), ('factor', '1.1')),
    (('--image={folder}/coffee.png', '--factor=9'), ('factor', '8')),
    (('--image={folder}/coffee.png', '--factor=two'), ('factor', 'two')),
    (('--image={folder}/coffee.png', '--num_samples=0'), ('num_samples',)),
    (('--image={folder}/coffee.png', '--preset=slow'), ('preset', 'slow')),
    (('--image={folder}/coffee.png', '--minutes=-1'), ('minutes',)),
    (('--image={folder}/coffee.png', '--kernel=no.npy'), ('no.npy',)),
    (('--image={folder}/tiny.png',), ('10x10', 'smallest')),
  ],
)
def test_bad_input_is_one_line_and_exit_code_2(
  folder, tmp_path, arguments, words
):
  given = [a.format(folder=folder) for a in arguments]
  code, _, err = run(*given, f'--out={tmp_path}')
  assert code == 2
  assert len(err.strip().splitlines()) == 1
  for word in words:
    assert word in err


@pytest.mark.long
@pytest.mark.parametrize('has_workdir', [True, False])
def test_an_interrupted_training_ends_in_one_line(
  folder, tmp_path, has_workdir
):
  workdir = [f'--workdir={tmp_path / "model"}'] if has_workdir else []
  process = commands.start(
    'upscale',
    f'--image={folder / "coffee.png"}',
    f'--out={tmp_path / "out"}',
    *workdir,
  )
  with process:
    text = ''
    while 'training' not in text:  # The progress bar of the first network.
      text += process.stderr.read(1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=300)
  assert not (tmp_path / 'out').exists()
  if has_workdir:
    assert process.returncode == 0
    assert 'saved; the same command continues' in out.splitlines()[-1]
    assert any((tmp_path / 'model' / 'mean' / 'checkpoints').iterdir())
  else:
    assert process.returncode == 130
    assert err.splitlines()[-1] == 'idiff-upscale: interrupted'
