"""idiff-reproduce as a person runs it."""

import json

import numpy as np
import pytest
from PIL import Image

from internal_diffusion import figures
from internal_diffusion.bin import reproduce
from internal_diffusion.experiments.result import Measure, Result
from tests.bin import commands


def fake_experiment(value, draw=lambda: figures.new_figure(3, 2)):
  def run(seed, *, effort, progress):
    assert progress
    return Result(
      {
        'distance': Measure(value * effort, at_most=1.0),
        'number': Measure(float(seed)),
      },
      {'drawn': np.arange(3.0)},
      {'curve': (draw, 'A curve.')},
    )

  return run


def test_all_experiments_have_folders_and_one_page(tmp_path, monkeypatch):
  monkeypatch.setattr(
    reproduce,
    'EXPERIMENTS',
    {'near': fake_experiment(1.0), 'far': fake_experiment(8.0)},
  )
  reproduce._FLAGS.unparse_flags()
  code, printed, err = commands.run_function(
    reproduce.run,
    '--experiment=all',
    '--effort=0.5',
    '--seed=3',
    f'--out={tmp_path}',
  )
  assert code == 0, err
  assert printed.splitlines()[-1] == 'idiff-reproduce: 1 of 2 goals met'
  for name, value in (('near', 0.5), ('far', 4.0)):
    assert {path.name for path in (tmp_path / name).iterdir()} == {
      'curve.png',
      'index.html',
      'report.json',
      'samples.npz',
    }
    report = commands.assert_report(tmp_path / name / 'report.json')
    assert report['settings'] == {'experiment': 'all', 'effort': 0.5}
    assert report['figures'] == {
      'distance': {'value': value, 'goal': 'at most 1', 'met': value <= 1},
      'number': {'value': 3.0, 'goal': '', 'met': None},
    }
    with np.load(tmp_path / name / 'samples.npz') as samples:
      np.testing.assert_array_equal(samples['drawn'], [0, 1, 2])
  page = (tmp_path / 'index.html').read_text()
  assert 'near/curve.png' in page
  row = '<th>far: distance</th><td>4.000</td><td>at most 1</td><td>missed</td>'
  assert row in page


def test_a_picture_that_cannot_be_drawn_loses_no_number(tmp_path, monkeypatch):
  def draw():
    assert (tmp_path / 'samples.npz').exists()
    raise RuntimeError('no font')

  monkeypatch.setitem(
    reproduce.EXPERIMENTS, 'circle', fake_experiment(1.0, draw)
  )
  reproduce._FLAGS.unparse_flags()
  code, _, err = commands.run_function(
    reproduce.run, '--experiment=circle', f'--out={tmp_path}'
  )
  assert code == 0, err
  assert 'could not be drawn: RuntimeError: no font' in err
  assert {path.name for path in tmp_path.iterdir()} == {
    'report.json',
    'samples.npz',
  }


@pytest.mark.long
def test_numbers_can_be_recomputed_from_the_draws(tmp_path):
  code, printed, err = commands.run(
    'reproduce', '--experiment=circle', '--effort=0.004', f'--out={tmp_path}'
  )
  assert code == 0, err
  assert 'goals met' in printed
  with Image.open(tmp_path / 'circle.png') as picture:
    assert min(picture.size) > 500
  found = np.load(tmp_path / 'samples.npz')
  own = np.linalg.norm(
    found['drawn_no_noise'] - found['queries'][:, None], axis=-1
  )
  copies = (own < np.pi / len(found['points'])).mean()
  report = json.loads((tmp_path / 'report.json').read_text())
  (value,) = (
    figure['value']
    for name, figure in report['figures'].items()
    if 'copies' in name
  )
  assert value == pytest.approx(copies, abs=1e-6)


@pytest.mark.parametrize(
  ('arguments', 'words'),
  [
    (('--experiment=square',), ('patches|', '|circle|', '|all', 'square')),
    ((), ('--experiment is required',)),
    (('--experiment=circle', '--effort=0'), ('--effort',)),
    (('--experiment=circle', '--seed=-1'), ('--seed',)),
    (('--experiment=circle', '--photographs=no.png'), ('no.png',)),
    (
      ('--experiment=circle', f'--photographs={__file__}'),
      ('--photographs', 'convolutional'),
    ),
    (
      ('--experiment=convolutional', f'--photographs={__file__}'),
      ('reproduce_test.py',),
    ),
  ],
)
def test_bad_flags_give_one_line_and_code_2(tmp_path, arguments, words):
  folder = tmp_path / 'out'
  code, _, err = commands.run('reproduce', *arguments, f'--out={folder}')
  commands.assert_one_line_and_nothing_written(code, err, folder)
  for word in words:
    assert word in err


def test_knows_every_experiment():
  assert set(reproduce.EXPERIMENTS) == {
    'patches',
    'half_scale_grey',
    'displaced_texture',
    'checkerboard',
    'moving_triangle',
    'moving_texture',
    'memorization_1d',
    'circle',
    'kernel_equivalence',
    'samplers',
    'score_model',
    'likelihood',
    'guidance',
    'level_guidance',
    'cascade_noise',
    'consistency',
    'bridges',
    'latent',
    'digits',
    'inversion',
    'convolutional',
  }
