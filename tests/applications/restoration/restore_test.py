"""Checks of what is given, the choice of the task, and transparency."""

import sys
from unittest import mock

import jax
import numpy as np
import pytest

from internal_diffusion.applications.restoration import (
  KernelEstimate,
  Restored,
  RestoreOptions,
  Task,
  choose_task,
  restore,
)
from internal_diffusion.applications.restoration.given import (
  check_given,
  named_task,
)
from internal_diffusion.data.jpeg import encode_cells

MODULE = sys.modules[restore.__module__]
SIZE = (20, 24)
IMAGE = np.linspace(-1, 1, 20 * 24 * 3, dtype=np.float32).reshape(*SIZE, 3)
MASK = np.eye(*SIZE, dtype=bool)
KERNEL = np.full((3, 3), 1 / 9)
INPUTS = {
  'mask': (MASK, Task.INPAINT),
  'kernel': (KERNEL, Task.DEBLUR),
  'scribbles': (IMAGE, Task.COLORIZE),
  'reference': (IMAGE, Task.COLORIZE),
}


def constant(key, given, options, progress):
  """A task that returns the picture."""
  image = given.image
  return Restored(
    image, 0 * image + 0.1, image - 1, image + 1, image[None], {'sigma': 7.0}
  )


@pytest.mark.parametrize('name', INPUTS)
def test_an_input_tells_its_task_and_is_refused_by_others(name):
  value, task = INPUTS[name]
  given = check_given(IMAGE, **{name: value})
  assert named_task(given, RestoreOptions()) is task
  assert named_task(given, RestoreOptions(task=task)) is task
  with pytest.raises(ValueError, match=f'`{name}` is for the task {task}'):
    named_task(given, RestoreOptions(task=Task.DENOISE))


def test_two_inputs_of_different_tasks_are_refused():
  given = check_given(IMAGE, mask=MASK, kernel=KERNEL)
  with pytest.raises(ValueError, match='`kernel` is for the task deblur'):
    named_task(given, RestoreOptions())
  both = check_given(IMAGE, scribbles=IMAGE, reference=IMAGE)
  with pytest.raises(ValueError, match='got both'):
    named_task(both, RestoreOptions())


def test_without_inputs_the_task_is_open_or_asked_for():
  given = check_given(IMAGE)
  assert named_task(given, RestoreOptions()) is Task.AUTO
  assert named_task(given, RestoreOptions(quality=10)) is Task.JPEG
  assert named_task(given, RestoreOptions(task='deblur')) is Task.DEBLUR
  for task, word in (('inpaint', '`mask`'), ('jpeg', '`quality`')):
    with pytest.raises(ValueError, match=word):
      named_task(given, RestoreOptions(task=task))


def test_noise_of_one_colour_is_not_known_but_may_be_given():
  given = check_given(np.zeros((*SIZE, 1), np.float32))
  with pytest.raises(ValueError, match='`sigma` must be given'):
    named_task(given, RestoreOptions())
  assert named_task(given, RestoreOptions(sigma=5.0)) is Task.DENOISE


@pytest.mark.parametrize(
  ('inputs', 'words'),
  [
    ({'image': 255 * IMAGE}, '255'),
    ({'image': IMAGE * np.nan}, 'NaN'),
    ({'image': IMAGE + np.inf}, 'inf'),
    ({'image': (IMAGE > 0).astype(np.uint8)}, 'uint8'),
    ({'image': IMAGE[..., 0]}, 'shape'),
    ({'image': IMAGE[:15]}, '16x16'),
    ({'mask': MASK[:5]}, '`mask`'),
    ({'kernel': np.ones((2, 3))}, 'odd'),
    ({'kernel': np.full((21, 1), 1 / 21)}, '21x1'),
    ({'scribbles': IMAGE[:5]}, '5x24'),
    ({'reference': IMAGE[..., :1]}, '`reference`'),
    ({'reference': 2 * IMAGE}, '`reference`'),
    ({'jpeg': encode_cells(IMAGE[:16], quality=10)}, '`jpeg`.*16x24'),
  ],
)
def test_wrong_inputs_are_named(inputs, words):
  with pytest.raises(ValueError, match=words):
    check_given(**{'image': IMAGE, **inputs})


def test_nan_joins_the_mask():
  holes = IMAGE.copy()
  holes[3, 4, 1] = np.nan
  given = check_given(holes)
  assert given.mask.sum() == 1
  assert given.mask[3, 4]
  assert np.isfinite(given.image).all()
  assert named_task(given, RestoreOptions()) is Task.INPAINT
  both = check_given(holes, mask=MASK)
  np.testing.assert_array_equal(both.mask, MASK | given.mask)
  with pytest.raises(ValueError, match='mask'):
    named_task(given, RestoreOptions(task='denoise'))


def test_noise_beyond_the_range_is_kept():
  noisy = 3 * IMAGE
  np.testing.assert_array_equal(check_given(noisy).image, noisy)


@pytest.mark.parametrize('channels', [1, 3])
def test_alpha_passes_through_and_is_certain(channels):
  alpha = np.linspace(-1, 1, 24, dtype=np.float32)
  alpha = np.broadcast_to(alpha[:, None], (*SIZE, 1))
  image = np.concatenate([IMAGE[..., :channels], alpha], axis=-1)
  with mock.patch.dict(MODULE._TASKS, {Task.DENOISE: constant}):
    found = restore(jax.random.key(0), image, RestoreOptions(task='denoise'))
  np.testing.assert_array_equal(found.mean, image)
  for values in (found.low, found.high, found.samples[0]):
    np.testing.assert_array_equal(values[..., -1:], alpha)
  assert not found.std[..., -1].any()
  assert found.std[..., :-1].all()
  assert found.found == {'task': 'denoise', 'reasons': [], 'sigma': 7.0}


def test_a_look_at_the_picture_chooses_the_task():
  noise = np.random.default_rng(0).normal(size=(64, 64, 1)).astype(np.float32)
  found = choose_task(0.2 * noise, RestoreOptions(num_samples=3))
  assert found.options == RestoreOptions(task='denoise', num_samples=3)
  assert 'noise of 2' in found.message
  jpeg = encode_cells(IMAGE, quality=10)
  found = choose_task(IMAGE, RestoreOptions(), jpeg=jpeg)
  assert found.options.task is Task.JPEG
  assert 'quality 10' in found.message
  found = choose_task(IMAGE, RestoreOptions(), mask=MASK)
  assert (found.options.task, found.message) == (Task.INPAINT, '')


def test_a_quality_gives_the_cells_of_a_picture_from_another_file():
  seen = []

  def fake(key, image, cells, **options):
    seen.append(cells)
    return constant(key, check_given(image), None, False)

  with mock.patch.object(MODULE, 'restore_jpeg', fake):
    restore(jax.random.key(0), IMAGE, RestoreOptions(quality=10))
  assert seen[0].size == SIZE
  assert seen[0].planes[0].steps[0, 0] == 80


@pytest.mark.parametrize('failed', [False, True])
def test_a_kernel_that_is_not_given_is_estimated_and_said(failed):
  seen = []

  def estimate(image, *, max_size):
    seen.append(max_size)
    return KernelEstimate(KERNEL, 0.9, failed)

  def fake(key, image, kernel, **options):
    seen.append(kernel)
    return constant(key, check_given(image), None, False)

  with (
    mock.patch.object(MODULE, 'estimate_kernel', estimate),
    mock.patch.object(MODULE, 'deblur', fake),
  ):
    found = restore(jax.random.key(0), IMAGE, RestoreOptions(task='deblur'))
  assert seen[0] == 5  # A third of the picture's shorter side, odd.
  assert found.found['kernel'] is seen[1] is KERNEL
  assert found.found['kernel_likely_failed'] == failed
  (reason,) = found.found['reasons']
  assert 'kernel of 3x3 pixels is estimated' in reason
  assert ('do not rely on it' in reason) == failed
