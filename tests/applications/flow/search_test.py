"""Motion that is too long for a start from zero."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
import skimage.data

from internal_diffusion.applications.flow import (
  FlowOptions,
  estimate_flow,
  learn_flow,
  search,
)
from internal_diffusion.applications.flow.frames import make_frame_pyramid

OPTIONS = FlowOptions(
  num_samples=4,
  minutes=0,
  num_steps=300,
  batch_size=128,
  width=48,
  num_fields=2,
)
CLOSED_FORM = dataclasses.replace(OPTIONS, denoiser='closed_form')


def crops(name, size, shift):
  """Two crops of a photograph whose content moves by `shift` (x, y)."""
  photo = (getattr(skimage.data, name)() / 127.5 - 1).astype(np.float32)
  (height, width), (x, y) = size, shift
  return (
    photo[60 : 60 + height, 150 : 150 + width],
    photo[60 - y : 60 - y + height, 150 - x : 150 - x + width],
  )


@pytest.mark.parametrize(
  ('name', 'size', 'shift'),
  [
    ('coffee', (130, 160), (40, 0)),
    ('chelsea', (130, 160), (-30, 25)),
  ],
)
def test_long_motion_is_found(name, size, shift):
  pyramids = [
    make_frame_pyramid(image, OPTIONS) for image in crops(name, size, shift)
  ]
  still = jnp.zeros((*size, 2))
  start = search.find_start(
    *pyramids, still, still, OPTIONS.prior, is_horizontal=False
  )
  for flow, true in ((start.there, shift), (start.back, np.negative(shift))):
    errors = np.linalg.norm(np.asarray(flow) - true, axis=-1)
    assert np.median(errors) < 0.5
    assert errors.mean() < 1.5


@pytest.fixture(scope='module')
def square():
  """A square moves 25 pixels to the right over a ground that stands still."""
  rng = np.random.default_rng(0)
  ground, content = (
    scipy.ndimage.gaussian_filter(rng.standard_normal(shape), (1, 1, 0))
    for shape in ((96, 120, 3), (36, 36, 3))
  )
  ground, content = ground - 0.3, content + 0.3
  frames = [ground.copy(), ground.copy()]
  for frame, left in zip(frames, (20, 45), strict=True):
    frame[30:66, left : left + 36] = content
  first, second = (frame.astype('f4').clip(-1, 1) for frame in frames)
  model = learn_flow([first], CLOSED_FORM)
  return estimate_flow(
    jax.random.key(0), model, first, second, options=CLOSED_FORM
  )


def test_a_square_that_moves_far_is_found_with_its_outline(square):
  true = np.zeros((96, 120))
  true[30:66, 20:56] = 25
  errors = np.linalg.norm(square.mean - np.stack([true, 0 * true], -1), axis=-1)
  assert errors.mean() < 0.3
  assert np.mean(errors > 1) < 0.03


def test_the_band_that_it_covers_is_occluded_and_uncertain(square):
  covered = np.zeros((96, 120), bool)
  covered[30:66, 56:81] = True
  assert square.occluded[covered].mean() > 0.9
  assert square.occluded[~covered].mean() < 0.05
  std = np.sqrt(np.trace(square.covariance, axis1=-2, axis2=-1))
  assert np.median(std[covered]) > 3 * np.median(std[~covered])


@pytest.mark.parametrize(
  'shift', [(20, 0), pytest.param((0, -16), marks=pytest.mark.long)]
)
def test_the_flow_of_long_motion_is_exact(shift):
  first, second = crops('astronaut', (96, 120), shift)
  model = learn_flow([first], CLOSED_FORM)
  flow = estimate_flow(
    jax.random.key(0), model, first, second, options=CLOSED_FORM
  )
  errors = np.linalg.norm(flow.mean - np.array(shift), axis=-1)
  assert errors.mean() < 1


@pytest.mark.long
@pytest.mark.parametrize(
  ('size', 'shift'), [((180, 240), (20, 0)), ((200, 240), (50, 0))]
)
def test_the_learned_flow_of_long_motion_is_exact(size, shift):
  first, second = crops('coffee', size, shift)
  model = learn_flow([first], OPTIONS)
  flow = estimate_flow(jax.random.key(0), model, first, second, options=OPTIONS)
  errors = np.linalg.norm(flow.mean - np.array(shift), axis=-1)
  assert errors.mean() < 1


def test_unrelated_frames_are_uncertain_by_the_range_of_the_search():
  first, _ = crops('coffee', (96, 120), (0, 0))
  second, _ = crops('astronaut', (96, 120), (0, 0))
  model = learn_flow([first], CLOSED_FORM)
  flow = estimate_flow(
    jax.random.key(0), model, first, second, options=CLOSED_FORM
  )
  std = np.sqrt(np.trace(flow.covariance, axis1=-2, axis2=-1))
  # The search covers half a frame, 60 pixels.
  assert np.median(std) > 20
