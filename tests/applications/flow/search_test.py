"""Motion that is too long for a start from zero."""

import dataclasses

import jax
import numpy as np
import pytest
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


def start_of(first, second):
  pyramids = [make_frame_pyramid(image, OPTIONS) for image in (first, second)]
  return search.find_start(*pyramids, OPTIONS.prior, is_horizontal=False)


@pytest.mark.parametrize(
  ('name', 'size', 'shift'),
  [
    ('coffee', (180, 240), (20, 0)),
    ('coffee', (200, 240), (50, 0)),
    ('chelsea', (200, 240), (-30, 25)),
  ],
)
def test_long_motion_is_found(name, size, shift):
  start = start_of(*crops(name, size, shift))
  true = np.array(shift) / 2**start.level
  np.testing.assert_allclose(
    start.there[8:-8, 8:-8],
    np.broadcast_to(true, start.there[8:-8, 8:-8].shape),
    atol=1.5,
  )
  assert np.median(np.abs(start.back + true[None, None])) < 0.5


def test_short_motion_starts_from_zero():
  start = start_of(*crops('coffee', (180, 240), (6, -4)))
  assert start.level == 2
  assert not np.any(start.there)


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
