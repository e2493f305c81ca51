"""idiff-sample, and idiff-evaluate on what it writes."""

import json

import numpy as np

from internal_diffusion.data import image_io
from tests.bin import commands


def test_sample_and_evaluate(photo, workdir, tmp_path):
  code, _, err = commands.run(
    'sample',
    f'--workdir={workdir}',
    f'--out={tmp_path}',
    '--num_samples=1000',
    '--num_steps=2',
  )
  assert code == 0, err
  with np.load(tmp_path / 'samples.npz') as samples:
    assert samples['patches'].shape == (1000, 7, 7, 3)
    assert abs(samples['patches']).max() <= 1
    assert samples['level'].shape == (1000,)
    assert samples['level'].max() < len(samples['level_sizes'])
  commands.assert_report(tmp_path / 'report.json')
  assert (tmp_path / 'samples.png').exists()
  assert (tmp_path / 'denoising.png').exists()

  code, out, err = commands.run(
    'evaluate',
    f'--reference={photo}',
    f'--generated={tmp_path}/samples.npz',
    f'--out={tmp_path}/evaluation',
  )
  assert code == 0, err
  report = commands.assert_report(tmp_path / 'evaluation' / 'report.json')
  figures = report['figures']
  assert json.loads(out) == figures
  # What two steps make is easily told from the truth; the truth is not.
  assert figures['generated']['boosted_trees_accuracy'] > 0.65
  assert figures['control']['boosted_trees_accuracy'] < 0.6
  assert (tmp_path / 'evaluation' / 'comparison.png').exists()


def test_same_seed_same_samples(workdir, tmp_path):
  for name, seed in (('a', 0), ('b', 0), ('c', 1)):
    code, _, err = commands.run(
      'sample',
      f'--workdir={workdir}',
      f'--out={tmp_path / name}',
      '--num_samples=16',
      '--num_steps=4',
      f'--seed={seed}',
    )
    assert code == 0, err
  a, b, c = (
    np.load(tmp_path / name / 'samples.npz')['patches'] for name in 'abc'
  )
  np.testing.assert_array_equal(a, b)
  assert (a != c).any()


def test_sample_without_a_run(tmp_path):
  code, _, err = commands.run(
    'sample', f'--workdir={tmp_path}', f'--out={tmp_path / "out"}'
  )
  commands.assert_one_line_and_nothing_written(code, err, tmp_path / 'out')
  assert 'holds no trained model' in err


def test_evaluate_refuses_what_is_no_samples_file(photo, tmp_path):
  path = tmp_path / 'wrong.npz'
  np.savez(path, other=np.zeros(3))
  code, _, err = commands.run(
    'evaluate',
    f'--reference={photo}',
    f'--generated={path}',
    f'--out={tmp_path}/o',
  )
  commands.assert_one_line_and_nothing_written(code, err, tmp_path / 'o')


def test_grey_photo_stays_grey(photo, tmp_path):
  grey = image_io.read_image(photo, channels=1)
  image_io.write_image(tmp_path / 'grey.png', grey)
  code, _, err = commands.run(
    *commands.train_command(
      tmp_path / 'grey.png', tmp_path / 'run', '--config.num_steps=5'
    )
  )
  assert code == 0, err
  code, _, err = commands.run(
    'sample',
    f'--workdir={tmp_path}/run',
    f'--out={tmp_path}/out',
    '--num_samples=130',
    '--num_steps=3',
    '--s_churn=2',
  )
  assert code == 0, err
  with np.load(tmp_path / 'out' / 'samples.npz') as samples:
    assert samples['patches'].shape == (130, 7, 7, 1)
  code, _, err = commands.run(
    'evaluate',
    f'--reference={tmp_path}/grey.png',
    f'--generated={tmp_path}/out/samples.npz',
    f'--out={tmp_path}/judged',
  )
  assert code == 0, err
