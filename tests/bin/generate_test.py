"""idiff-generate as a person runs it."""

import json

import numpy as np
import pytest
import skimage.data
from PIL import Image

from internal_diffusion.applications.images.recipe import match_colours
from internal_diffusion.data import image_io
from internal_diffusion.data.resampling import resample
from tests.bin import commands

QUICK = ('--patch_size=9', '--num_steps=3', '--num_samples=1')


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  path = tmp_path_factory.mktemp('photographs')
  image = 2 * skimage.data.coffee()[::20, ::20].astype(np.float32) / 255 - 1
  image_io.write_image(path / 'coffee.png', image)  # 20x30 pixels.
  image_io.write_image(path / 'constant.png', np.full((30, 30, 3), 0.25))
  image_io.write_image(path / 'grey.png', image[..., :1])
  return path


def test_writes_samples_traces_maps_and_report(folder, tmp_path):
  code, printed, err = commands.run_process(
    'generate',
    f'--image={folder / "coffee.png"}',
    f'--out={tmp_path}',
    '--size=24x40',
    '--tileable',
    *QUICK,
  )
  assert code == 0, err
  assert '1 images' in printed
  assert {p.name for p in tmp_path.iterdir()} == {
    'index.html',
    'input.png',
    'report.json',
    'sample_000.png',
    'sample_000_2x2.png',
    'sample_000_source.png',
    'sample_000_trace.gif',
    'sample_000_trace.png',
  }
  with Image.open(tmp_path / 'sample_000.png') as picture:
    assert picture.size == (40, 24)
  with Image.open(tmp_path / 'sample_000_2x2.png') as picture:
    assert picture.size == (80, 48)
  with Image.open(tmp_path / 'sample_000_trace.gif') as picture:
    assert picture.size == (40, 24)
  report = json.loads((tmp_path / 'report.json').read_text())
  assert len(report['figures']['seconds_per_sample']) == 1
  assert report['settings']['size'] == [24, 40]
  assert report['seconds']['compile'] > 0
  page = (tmp_path / 'index.html').read_text()
  assert page.index('input.png') < page.index('sample_000.png')


def test_a_folder_and_a_constant_picture(folder, tmp_path):
  code, _, err = commands.run(
    'generate', f'--image={folder}', f'--out={tmp_path}', *QUICK
  )
  assert code == 0, err
  assert 'constant' in err
  names = {p.name for p in tmp_path.iterdir()}
  assert names == {'coffee', 'constant', 'grey', 'index.html', 'report.json'}
  found = image_io.read_image(tmp_path / 'constant' / 'sample_000.png')
  np.testing.assert_allclose(found, 0.25, atol=1 / 255)
  grey = image_io.read_image(
    tmp_path / 'grey' / 'sample_000.png', channels=None
  )
  assert grey.shape == (20, 30, 1)


@pytest.mark.parametrize(
  ('arguments', 'words'),
  [
    ((), ('--image is required',)),
    (('--image={folder}/none.png',), ('none.png',)),
    (('--image={folder}/coffee.png', '--size=40'), ('size', '2 numbers')),
    (('--image={folder}/coffee.png', '--size=0x9'), ('size', '0')),
    (('--image={folder}/coffee.png', '--size=8x90'), ('smaller than a patch',)),
    (('--image={folder}/coffee.png', '--mode=paint'), ('retarget', 'paint')),
    (
      ('--image={folder}/coffee.png', '--symmetric=both'),
      ('horizontal', 'both'),
    ),
    (('--image={folder}/coffee.png', '--num_steps=1'), ('num_steps',)),
    (('--image={folder}/coffee.png', '--patch_size=8'), ('odd',)),
    (('--image={folder}/coffee.png', '--num_samples=0'), ('num_samples',)),
    (('--image={folder}/coffee.png', '--denoiser=magic'), ('mixture', 'magic')),
    (
      (
        '--image={folder}/coffee.png',
        '--tileable',
        '--symmetric=vertical',
      ),
      ('exclude',),
    ),
  ],
)
def test_bad_input_gives_one_line_and_code_2(
  folder, tmp_path, arguments, words
):
  out = tmp_path / 'out'
  code, _, err = commands.run(
    'generate',
    *(argument.format(folder=folder) for argument in arguments),
    f'--out={out}',
  )
  commands.assert_one_line_and_nothing_written(code, err, out)
  for word in words:
    assert word in err


def test_retargeting_and_a_structure_keep_a_layout(folder, tmp_path):
  for name, arguments in {
    'wide': ('--mode=retarget', '--size=20x44'),
    'structure': (f'--structure={folder / "grey.png"}', '--size=24x36'),
  }.items():
    code, _, err = commands.run(
      'generate',
      f'--image={folder / "coffee.png"}',
      f'--out={tmp_path / name}',
      '--start_sigma=0.1',
      *QUICK,
      *arguments,
    )
    assert code == 0, err
  image = image_io.read_image(folder / 'coffee.png')
  for name, size in (('wide', (20, 44)), ('structure', (24, 36))):
    made = image_io.read_image(tmp_path / name / 'sample_000.png')
    assert made.shape[:2] == size
    layout = np.asarray(resample(image, size)).mean(axis=-1)
    correlation = np.corrcoef(layout.ravel(), made.mean(axis=-1).ravel())[0, 1]
    assert correlation > 0.6


def test_a_structure_takes_the_colours_of_the_image():
  random = np.random.default_rng(0)
  image = random.uniform(-0.5, 0, (20, 20, 3)).astype(np.float32)
  picture = random.uniform(0, 1, (30, 10, 3)).astype(np.float32)
  found = match_colours(picture, image)
  for statistic in (np.mean, np.std):
    np.testing.assert_allclose(
      statistic(found, axis=(0, 1)), statistic(image, axis=(0, 1)), atol=1e-3
    )
