"""Flow of small frames whose motion is known."""

import contextlib
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import skimage.data

from internal_diffusion import load
from internal_diffusion.applications.flow import (
  FlowModel,
  FlowOptions,
  estimate_flow,
  learn_flow,
  pixels,
  smooth_grey,
)
from internal_diffusion.compilation import measure_compilation
from internal_diffusion.data import flow_fields
from internal_diffusion.evaluation import flow_error
from internal_diffusion.training import run_folder

DISPLACEMENT = (2.4, -1.3)
OPTIONS = FlowOptions(
  num_samples=8,
  minutes=0,
  num_steps=250,
  batch_size=128,
  width=48,
  num_fields=3,
)
TINY = dataclasses.replace(OPTIONS, num_steps=100, width=8, num_fields=1)
CLOSED_FORM = dataclasses.replace(OPTIONS, denoiser='closed_form')


def moved(photo, displacement):
  flow = flow_fields.translation(photo.shape[:2], displacement=displacement)
  made = flow_fields.make_pair(photo.astype(np.float32), flow, margin=8)
  made = made._replace(second=jnp.clip(made.second, -1, 1))
  return jax.tree.map(np.asarray, made)


@pytest.fixture(scope='module')
def pair():
  return moved(
    skimage.data.coffee()[100:320:3, 100:340:3] / 127.5 - 1, DISPLACEMENT
  )


@pytest.fixture(scope='module')
def model(pair):
  return learn_flow([pair.first], OPTIONS)


def estimate(model, pair, *, seed=0, options=OPTIONS):
  return estimate_flow(
    jax.random.key(seed), model, pair.first, pair.second, options=options
  )


@pytest.fixture(scope='module')
def found(model, pair):
  return estimate(model, pair)


def assert_equal(one, other):
  for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
    np.testing.assert_array_equal(a, b)


def test_finds_a_translation(found, pair):
  errors = flow_error.flow_errors(found.mean, pair.flow, mask=pair.is_inside)
  assert errors.aepe < 0.25  # Of 2.7 pixels, after seconds of training.


def test_uncertainty_and_occlusions(found, pair):
  height, width = found.mean.shape[:2]
  assert found.samples.shape == (8, height, width, 2)
  assert np.linalg.eigvalsh(found.covariance).min() > 0
  np.testing.assert_allclose(
    np.einsum('khwi,khwj->hwij', *2 * [found.samples - found.mean]) / 8,
    found.covariance,
    rtol=1e-2,
    atol=1e-4,
  )
  assert found.modes.shape == (height, width, 4, 2)
  np.testing.assert_array_equal(found.modes[:, :, 0], found.mean)
  assert found.mode_weights.min() >= 0
  assert found.mode_weights.sum(axis=-1).max() < 1 + 1e-5
  np.testing.assert_array_equal(found.occluded, found.occlusion > 0.5)
  # Content that leaves the frame is occluded.
  assert found.occluded[~pair.is_inside].mean() > 0.9
  assert found.occluded[10:-10, 10:-10].mean() < 0.1


def test_the_same_key_gives_the_same_flow(found, model, pair):
  again, other = (estimate(model, pair, seed=seed) for seed in (0, 1))
  np.testing.assert_array_equal(again.mean, found.mean)
  np.testing.assert_array_equal(again.samples, found.samples)
  assert not np.array_equal(other.samples, found.samples)


def test_identical_frames_have_no_flow(model, pair):
  still = estimate(model, pair._replace(second=pair.first))
  np.testing.assert_allclose(still.mean, 0, atol=1e-5)


def test_stereo_moves_along_x_alone(model, pair):
  options = dataclasses.replace(OPTIONS, stereo=True)
  flat = estimate(model, pair, options=options)
  assert np.abs(flat.mean[..., 1]).max() < 1e-3
  assert np.abs(flat.mean[..., 0]).mean() > 1
  assert flat.covariance[..., 1, 1].max() < 1e-5
  assert flat.covariance[..., 0, 0].min() > 1e-5
  assert flat.samples[..., 1].std(axis=0).max() < 1e-2


def test_closed_form_behind_the_same_interface(pair):
  model = learn_flow([pair.first], CLOSED_FORM)
  errors = flow_error.flow_errors(
    estimate(model, pair).mean, pair.flow, mask=pair.is_inside
  )
  assert errors.aepe < 0.5


def test_flat_areas_are_uncertain(pair):
  model = learn_flow([pair.first], CLOSED_FORM)
  grey = smooth_grey(pair.first, OPTIONS)
  flat = grey.at[:, grey.shape[1] // 2 :].set(0.1)
  posteriors = pixels.pixel_posteriors(model, flat, flat)
  std = np.sqrt(np.trace(posteriors.covariance, axis1=-2, axis2=-1))
  textured = flow_error.textured(np.asarray(flat)[..., None], min_gradient=0.06)
  assert np.median(std[:, -15:]) > 3 * np.median(std[textured])


def test_posteriors_of_single_pixels(found, model, pair):
  points = np.array([[20, 20], [30, 25], [63 - 4, 40]])
  grey = [smooth_grey(frame, OPTIONS) for frame in (pair.first, pair.second)]
  samples = pixels.sample_pixels(
    jax.random.key(0), model, *grey, found.mean, points=points, num_samples=64
  )
  assert samples.shape == (3, 64, 2)
  # Samples and moments are of the same posterior.
  for index, (x, y) in enumerate(points):
    own = np.sqrt(np.diag(found.posteriors.covariance[y, x]))
    np.testing.assert_allclose(samples[index].std(axis=0), own, rtol=0.6)
  near, far = (
    pixels.log_density(
      model, *grey, found.mean, points=points, candidates=candidates
    )
    for candidates in (samples, samples + 20)
  )
  assert (near.mean(axis=1) > far.mean(axis=1) + 5).all()


def test_the_densest_of_samples():
  samples = np.array([[[0.0, 0.0], [1.0, 1.0], [1.1, 1.0], [5.0, 2.0]]])
  found = pixels.densest(samples)
  assert found.tolist() in ([[1.0, 1.0]], [[1.1, 1.0]])


@pytest.mark.long
def test_a_second_pair_of_the_same_size_compiles_nothing(pair):
  def run(first, second):
    model = learn_flow([first], TINY)
    return estimate_flow(jax.random.key(0), model, first, second, options=TINY)

  run(pair.first, pair.second)
  with measure_compilation() as meter:
    run(np.ascontiguousarray(pair.second[::-1]), pair.first[::-1])
  assert meter.count == 0


@pytest.fixture(scope='module')
def tiny(pair):
  return learn_flow([pair.first], TINY)


def test_a_saved_model_is_the_same_and_is_not_trained_again(
  pair, tiny, tmp_path
):
  saved = learn_flow([pair.first], TINY, workdir=tmp_path)
  assert_equal(saved, tiny)
  assert_equal(load(tmp_path, FlowModel), tiny)
  # Other frames use the same model.
  assert_equal(learn_flow([pair.second], TINY, workdir=tmp_path), tiny)
  with pytest.raises(ValueError, match='`denoiser` is closed_form'):
    learn_flow([pair.first], CLOSED_FORM, workdir=tmp_path)


def test_resumed_is_unbroken(pair, tiny, tmp_path, monkeypatch):
  calls = []

  @contextlib.contextmanager
  def stop_at_once():
    yield lambda: calls.append(1) is None  # True.

  with monkeypatch.context() as patched:
    patched.setattr(run_folder, 'stop_requested', stop_at_once)
    with pytest.raises(KeyboardInterrupt):
      learn_flow([pair.first], TINY, workdir=tmp_path)
  assert calls
  assert_equal(learn_flow([pair.first], TINY, workdir=tmp_path), tiny)


def test_frames_of_two_sizes_are_refused(model, pair):
  with pytest.raises(ValueError, match='one size'):
    estimate(model, pair._replace(second=pair.second[:-4]))


def test_a_small_frame_is_refused():
  with pytest.raises(ValueError, match='24x24'):
    learn_flow([np.zeros((20, 40, 3), np.float32)], OPTIONS)


def test_a_point_outside_is_refused(model, pair, found):
  grey = [smooth_grey(frame, OPTIONS) for frame in (pair.first, pair.second)]
  with pytest.raises(ValueError, match='within'):
    pixels.sample_pixels(
      jax.random.key(0),
      model,
      *grey,
      found.mean,
      points=np.array([[500, 2]]),
      num_samples=2,
    )


@pytest.mark.parametrize(
  ('changes', 'message'),
  [
    ({'minutes': 0.0}, '`minutes`'),
    ({'num_samples': 1}, '`num_samples`'),
    ({'patch_size': 8}, '`patch_size`'),
    ({'sensor_noise': (0.1, 0.01)}, '`sensor_noise`'),
    ({'smoothness': -1.0}, '`smoothness`'),
    ({'batch_size': 0}, '`batch_size`'),
    ({'block_reach': 0}, '`block_reach`'),
    ({'num_fields': 0}, '`num_fields`'),
    ({'stddev': 0.0}, '`stddev`'),
  ],
)
def test_bad_options_are_named(changes, message):
  with pytest.raises(ValueError, match=message):
    FlowOptions(**changes)
