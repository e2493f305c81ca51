"""idiff-evaluate on images, as a person runs it."""

import json

import numpy as np
import pytest
import skimage.data
from scipy import ndimage

from internal_diffusion.data import image_io
from tests.bin import commands


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  """A photograph, and samples: itself, blurred, and a part of it."""
  path = tmp_path_factory.mktemp('images')
  image = 2 * skimage.data.coffee()[::8, ::8].astype(np.float32) / 255 - 1
  image_io.write_image(path / 'photo.png', image)
  image_io.write_image(path / 'sample_0.png', image)
  blurred = ndimage.gaussian_filter(image, (1, 1, 0))
  image_io.write_image(path / 'sample_1.png', blurred)
  image_io.write_image(path / 'part.png', image[4:44, 8:60])
  return path


def test_a_pattern_gives_table_figures_and_report(folder, tmp_path):
  code, out, err = commands.run(
    'evaluate',
    f'--reference={folder}/photo.png',
    f'--generated={folder}/sample_*.png',
    f'--out={tmp_path}/new/out',
  )
  assert code == 0, err
  content = json.loads((tmp_path / 'new' / 'out' / 'report.json').read_text())
  figures = content['figures']
  assert json.loads(out) == figures
  paths = [f'{folder}/sample_{i}.png' for i in range(2)]
  assert content['settings'] == {
    'max_patches': 4096,
    'patch_size': 7,
    'query_stride': 3,
  }
  inputs = [given['path'] for given in content['inputs']]
  assert inputs == [*paths, f'{folder}/photo.png']
  copy, blurred = (figures[path] for path in paths)
  assert copy['coherence'] == 0
  assert copy['copied_fraction'] == 1
  assert copy['ssim'] == pytest.approx(1)
  assert blurred['detail_level_0'] < 0.6
  assert blurred['coherence'] > 0.01
  assert figures['pixel_diversity'] > 0
  assert 0 < figures['neighbour_diversity'] < 1
  for name in (*blurred, 'pixel_diversity', 'mean', 'lowest', 'highest'):
    assert name in err
  table = err[err.rindex('%|') :].splitlines()[1:]
  assert max(map(len, table)) <= 80


def test_a_list_of_files_of_several_sizes(folder, tmp_path):
  code, out, err = commands.run(
    'evaluate',
    f'--reference={folder}/photo.png',
    f'--generated={folder}/part.png,{folder}/sample_?.png',
    f'--out={tmp_path}',
    '--patch_size=5',
    '--query_stride=7',
  )
  assert code == 0, err
  figures = json.loads(out)
  assert list(figures) == [
    f'{folder}/part.png',
    f'{folder}/sample_0.png',
    f'{folder}/sample_1.png',
    'mean',
  ]
  part = figures[f'{folder}/part.png']
  assert part['copied_fraction'] == 1
  assert part['completeness'] > 0
  # They compare pixel by pixel, which needs the photograph's size.
  assert 'psnr_db' not in part
  assert 'psnr_db' in figures[f'{folder}/sample_1.png']


@pytest.mark.parametrize(
  ('arguments', 'words'),
  [
    (['--generated={folder}/nothing_*.png'], ['no file', 'nothing_*.png']),
    (
      ['--generated={folder}/part.png,{folder}/none.png'],
      ['no file', 'none.png'],
    ),
    (['--generated={folder}/*.png', '--patch_size=51'], ['51', 'larger']),
    (['--generated={folder}/*.png', '--query_stride=0'], ['query_stride', '0']),
    (['--generated='], ['--generated is required']),
  ],
)
def test_mistakes_give_one_line_and_code_2(folder, tmp_path, arguments, words):
  out = tmp_path / 'out'
  code, _, err = commands.run(
    'evaluate',
    f'--reference={folder}/photo.png',
    *(argument.format(folder=folder) for argument in arguments),
    f'--out={out}',
  )
  commands.assert_one_line_and_nothing_written(code, err, out)
  for word in words:
    assert word in err
