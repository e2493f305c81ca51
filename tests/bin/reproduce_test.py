"""idiff-reproduce as a person runs it."""

import json

import numpy as np
import pytest
from PIL import Image

from internal_diffusion.bin import reproduce
from tests.bin import commands


@pytest.fixture(scope='module')
def out(tmp_path_factory):
  path = tmp_path_factory.mktemp('out')
  code, printed, err = commands.run(
    'reproduce', '--experiment=circle', '--effort=0.004', f'--out={path}'
  )
  assert code == 0, err
  assert 'goals met' in printed
  return path


def test_writes_figures_draws_and_report(out):
  folder = out / 'circle'
  assert {p.name for p in folder.iterdir()} == {
    'circle.png',
    'report.json',
    'samples.npz',
  }
  with Image.open(folder / 'circle.png') as picture:
    assert min(picture.size) > 500
  report = json.loads((folder / 'report.json').read_text())
  assert report['settings'] == {'effort': 0.004}
  assert all(
    set(figure) == {'value', 'goal', 'met'}
    for figure in report['figures'].values()
  )


def test_numbers_can_be_recomputed_from_the_draws(out):
  found = np.load(out / 'circle' / 'samples.npz')
  own = np.linalg.norm(
    found['drawn_no_noise'] - found['queries'][:, None], axis=-1
  )
  copies = (own < np.pi / len(found['points'])).mean()
  report = json.loads((out / 'circle' / 'report.json').read_text())
  (value,) = (
    figure['value']
    for name, figure in report['figures'].items()
    if 'copies' in name
  )
  assert value == pytest.approx(copies, abs=1e-6)


@pytest.mark.parametrize(
  ('arguments', 'words'),
  [
    (('--experiment=square',), ('patches', 'circle', 'all', "'square'")),
    ((), ('--experiment is required',)),
    (('--experiment=circle', '--effort=0'), ('effort',)),
    (('--experiment=circle', '--seed=-1'), ('seed',)),
  ],
)
def test_bad_flags_give_one_line_and_code_2(tmp_path, arguments, words):
  folder = tmp_path / 'out'
  code, _, err = commands.run('reproduce', *arguments, f'--out={folder}')
  commands.assert_one_line_and_nothing_written(code, err, folder)
  assert not folder.exists()
  for word in words:
    assert word in err


def test_knows_the_eight_experiments_of_the_talk():
  assert set(reproduce.EXPERIMENTS) == {
    'patches',
    'half_scale_grey',
    'displaced_texture',
    'checkerboard',
    'moving_triangle',
    'memorization_1d',
    'circle',
    'kernel_equivalence',
  }
