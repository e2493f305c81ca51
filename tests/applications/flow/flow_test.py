"""Flow of small frames whose motion is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import skimage.data

from internal_diffusion.applications import flow as flow_lib
from internal_diffusion.applications import flow_model, pixel_flow
from internal_diffusion.configs import flow as config_lib
from internal_diffusion.data import flow_fields
from internal_diffusion.evaluation import flow_error

DISPLACEMENT = (2.4, -1.3)


def quick_config():
  config = config_lib.get_config()
  config.train.num_steps, config.train.max_minutes = 250, 0.0
  config.train.batch_size = 128
  config.train.network.width = 48
  config.num_fields = 3
  return config


@pytest.fixture(scope='module')
def pair():
  photo = skimage.data.coffee()[100:320:3, 100:340:3] / 127.5 - 1
  flow = flow_fields.translation(photo.shape[:2], displacement=DISPLACEMENT)
  made = flow_fields.make_pair(photo.astype(np.float32), flow, margin=8)
  made = made._replace(second=jnp.clip(made.second, -1, 1))
  return jax.tree.map(np.asarray, made)


@pytest.fixture(scope='module')
def model(pair):
  return flow_model.train_flow_model([pair.first], quick_config())


@pytest.fixture(scope='module')
def frames(pair):
  return [
    flow_model.make_frame(frame, quick_config())
    for frame in (pair.first, pair.second)
  ]


def estimate(model, frames, *, seed=0, **options):
  return flow_lib.estimate_flow(
    jax.random.key(seed),
    model,
    *frames,
    options=flow_lib.make_options(quick_config(), **options),
    num_samples=8,
  )


@pytest.fixture(scope='module')
def found(model, frames):
  return estimate(model, frames)


def test_finds_a_translation(found, pair):
  errors = flow_error.flow_errors(found.mean, pair.flow, mask=pair.is_inside)
  assert errors.aepe < 0.25  # Of 2.7 pixels, after seconds of training.


def test_says_how_sure_it_is(found, pair):
  height, width = found.mean.shape[:2]
  assert found.samples.shape == (8, height, width, 2)
  assert np.linalg.eigvalsh(found.covariance).min() > 0
  np.testing.assert_allclose(
    np.einsum('khwi,khwj->hwij', *2 * [found.samples - found.mean]) / 8,
    found.covariance,
    rtol=1e-2,
    atol=1e-4,
  )
  # What leaves the frame is not seen to arrive.
  assert found.is_hidden[~pair.is_inside].mean() > 0.9
  assert found.is_hidden[10:-10, 10:-10].mean() < 0.1


def test_the_same_key_gives_the_same_flow(found, model, frames):
  again, other = (estimate(model, frames, seed=seed) for seed in (0, 1))
  np.testing.assert_array_equal(again.mean, found.mean)
  np.testing.assert_array_equal(again.samples, found.samples)
  assert not np.array_equal(other.samples, found.samples)


def test_identical_frames_have_no_flow(model, frames):
  still = estimate(model, [frames[0], frames[0]])
  np.testing.assert_allclose(still.mean, 0, atol=1e-5)


def test_what_does_not_come_back_is_hidden_unless_the_field_is_unsure():
  mean = np.zeros((10, 12, 2))
  mean[:, -1, 0] = 1  # Leads outside.
  disagreement = np.zeros((10, 12, 2))
  disagreement[4:6] = 0.6
  covariance = np.broadcast_to(1e-4 * np.eye(2), (10, 12, 2, 2)).copy()
  covariance[5] = 0.1 * np.eye(2)
  hidden = flow_lib.find_hidden(mean, disagreement, covariance)
  assert hidden[:, -1].all()
  assert hidden[4].all()
  assert not hidden[5, :-1].any()
  assert not hidden[:4, :-1].any()


def test_stereo_moves_along_x_alone(model, frames):
  flat = estimate(model, frames, is_horizontal=True)
  assert np.abs(flat.mean[..., 1]).max() < 1e-3
  assert np.abs(flat.mean[..., 0]).mean() > 1
  assert flat.covariance[..., 1, 1].max() < 1e-5
  assert flat.covariance[..., 0, 0].min() > 1e-5
  assert flat.samples[..., 1].std(axis=0).max() < 1e-2


def test_closed_form_behind_the_same_interface(frames, pair):
  model = flow_model.closed_form_flow_model(quick_config())
  errors = flow_error.flow_errors(
    estimate(model, frames).mean, pair.flow, mask=pair.is_inside
  )
  assert errors.aepe < 0.5


def test_where_nothing_is_seen_the_spread_is_wide(frames):
  model = flow_model.closed_form_flow_model(quick_config())
  grey = frames[0].grey[0]
  flat = grey.at[:, grey.shape[1] // 2 :].set(0.1)
  seen = flow_model.look(model, flat, flat)
  spread = np.sqrt(np.trace(seen.covariance, axis1=-2, axis2=-1))
  textured = flow_error.textured(np.asarray(flat)[..., None], min_gradient=0.06)
  assert np.median(spread[:, -15:]) > 3 * np.median(spread[textured])


def test_pixels_alone(found, model, frames):
  points = np.array([[20, 20], [30, 25], [63 - 4, 40]])
  grey = [frame.grey[0] for frame in frames]
  flow = jnp.asarray(found.mean)
  samples = pixel_flow.sample_pixels(
    jax.random.key(0), model, *grey, flow, points=points, num_samples=64
  )
  assert samples.shape == (3, 64, 2)
  # They are what the moments say that they are.
  for index, (x, y) in enumerate(points):
    own = np.sqrt(np.diag(found.seen.covariance[y, x]))
    np.testing.assert_allclose(samples[index].std(axis=0), own, rtol=0.6)
  density = pixel_flow.log_density(
    model, *grey, flow, points=points, candidates=samples
  )
  far = pixel_flow.log_density(
    model, *grey, flow, points=points, candidates=samples + 20
  )
  assert (density.mean(axis=1) > far.mean(axis=1) + 5).all()
  modes = pixel_flow.densest(samples)
  assert modes.shape == (3, 2)


def test_frames_of_two_sizes_are_refused(model, frames, pair):
  smaller = flow_model.make_frame(pair.second[:-4], quick_config())
  with pytest.raises(ValueError, match='one size'):
    estimate(model, [frames[0], smaller])


def test_a_small_frame_is_refused():
  with pytest.raises(ValueError, match='24x24'):
    flow_model.make_frame(np.zeros((20, 40, 3), np.float32), quick_config())


def test_a_point_outside_is_refused(model, frames, found):
  with pytest.raises(ValueError, match='within'):
    pixel_flow.sample_pixels(
      jax.random.key(0),
      model,
      *(frame.grey[0] for frame in frames),
      jnp.asarray(found.mean),
      points=np.array([[500, 2]]),
      num_samples=2,
    )
