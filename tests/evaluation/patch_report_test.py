"""The report as a whole, on vectors with known differences."""

import json

import jax
import numpy as np
import pytest

from internal_diffusion.evaluation import patch_report

KEY = jax.random.key(0)


def gaussian(seed, shape):
  return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def heavy_tailed(seed, num):
  """Correlated vectors of random contrast, as natural patches are."""
  mixing = gaussian(99, (27, 27)) * np.geomspace(1, 1e-2, 27)[:, None]
  contrast = np.exp(0.5 * gaussian((seed, 1), (num, 1)))
  return 0.1 * contrast * gaussian((seed, 0), (num, 27)) @ mixing


@pytest.fixture(scope='module')
def training():
  return heavy_tailed(0, 2000)


def compare(generated, training):
  return patch_report.compare_patches(
    KEY, generated, training[:500], training[500:1000], training=training
  )


def test_report_is_plain_and_its_control_is_at_the_floor(training):
  report = compare(heavy_tailed(1, 500), training)
  assert json.loads(json.dumps(report, allow_nan=False)) == report
  assert report['num_patches'] == 500
  assert report['patch_dim'] == 27
  assert report['num_training'] == 2000
  assert report['generated'].keys() == report['control'].keys()
  for name in ('generated', 'control'):
    figures = report[name]
    assert abs(figures['c2st_accuracy'] - 0.5) < 0.07
    assert abs(figures['mmd_squared']) < 4 * figures['mmd_null_std']
    assert len(figures['variance_ratios']) == 27
    assert figures['copy_fraction'] < 0.02
  # Fresh draws of the true distribution are what the control is.
  for ratio in report['ratios'].values():
    assert 0.5 < ratio < 2


def test_report_tells_copies_from_noise(training):
  chosen = training[1000:1500]
  copies = compare(chosen, training)
  assert copies['generated']['copy_fraction'] == 1.0
  assert copies['ratios']['nearest_distance_median'] == 0
  assert copies['control']['copy_fraction'] < 0.02
  noisy = compare(chosen + 0.5 * gaussian(3, chosen.shape), training)
  assert noisy['generated']['c2st_accuracy'] > 0.9
  assert noisy['ratios']['variance_log_rms'] > 2
  assert noisy['ratios']['nearest_distance_median'] > 2
  assert noisy['generated']['copy_fraction'] < 0.02
  # The control does not depend on what it stands beside.
  assert noisy['control'] == copies['control']


def test_report_measures_copies_against_the_reference_by_default(training):
  reference, control = training[:500], training[500:1000]
  report = patch_report.compare_patches(KEY, reference, reference, control)
  assert report['num_training'] == 500
  assert report['generated']['copy_fraction'] == 1.0


def test_report_refuses_wrong_sets(training):
  with pytest.raises(ValueError, match=r'equally many.*generated.: 499'):
    compare(training[:499], training)
  with pytest.raises(ValueError, match=r'`generated` must be finite'):
    compare(np.full((500, 27), np.nan), training)
  with pytest.raises(ValueError, match=r'`reference`, `training`.*one length'):
    patch_report.compare_patches(
      KEY, *[training[:500]] * 3, training=training[:, 1:]
    )
