"""Colorization."""

import jax
import numpy as np
import pytest

from internal_diffusion import compilation
from internal_diffusion.applications.restoration.colorize import (
  colorize,
  to_colour,
)
from internal_diffusion.applications.restoration.scribbles import luminance_of
from internal_diffusion.evaluation import fidelity

KEY = jax.random.key(0)


def two_grounds(size=(32, 40)):
  """Dark green beside light orange ground, [H, W, 3], with fine grain."""
  image = np.empty((*size, 3), np.float32)
  image[:, : size[1] // 2] = (-0.8, -0.3, -0.7)
  image[:, size[1] // 2 :] = (0.8, 0.3, -0.2)
  grain = np.random.default_rng(0).normal(0, 0.02, (*size, 1))
  return np.clip(image + grain, -1, 1).astype(np.float32)


def grey_and_scribbles(truth):
  """Grey picture and a layer with one mark on either side."""
  grey = (2 * luminance_of(truth) - 1)[..., None]
  alpha = -np.ones_like(grey)
  alpha[4:9, 4:9] = alpha[20:25, 30:35] = 1
  return grey, np.concatenate([truth, alpha], axis=-1)


def test_two_marks_colour_two_grounds():
  truth = two_grounds()
  grey, scribbles = grey_and_scribbles(truth)
  found = colorize(KEY, grey, scribbles=scribbles, num_samples=2)
  assert fidelity.psnr(found.mean, truth) > 23
  assert found.samples.shape == (2, *truth.shape)
  assert found.found['num_groups'] == 2
  for values in (found.mean, *found.samples):
    np.testing.assert_allclose(
      luminance_of(values), luminance_of(grey), atol=1e-5
    )
  assert np.all(found.low <= found.mean)
  assert np.all(found.mean <= found.high)
  assert np.all(found.std > 0)


def test_the_same_key_gives_the_same_samples():
  truth = two_grounds()
  grey, scribbles = grey_and_scribbles(truth)
  one, again = (
    colorize(KEY, grey, scribbles=scribbles, num_samples=1).samples
    for _ in range(2)
  )
  np.testing.assert_array_equal(one, again)


def test_a_second_picture_of_one_size_compiles_nothing():
  truth = two_grounds()
  grey, scribbles = grey_and_scribbles(truth)
  one = colorize(KEY, grey, scribbles=scribbles, num_samples=1)
  scribbles[10, 10, 3] = 1
  other_key = jax.random.key(1)
  with compilation.measure_compilation() as meter:
    other = colorize(other_key, grey + 0.1, scribbles=scribbles, num_samples=1)
  assert meter.count == 0
  assert np.any(other.samples != one.samples)


def test_a_colour_picture_gives_its_luminance():
  truth = two_grounds()
  grey, scribbles = grey_and_scribbles(truth)
  found = colorize(KEY, truth, scribbles=scribbles, num_samples=0)
  expected = colorize(KEY, grey, scribbles=scribbles, num_samples=0)
  np.testing.assert_allclose(found.mean, expected.mean, atol=1e-5)
  assert 'luminance' in found.found['reasons'][0]
  assert not expected.found['reasons']


@pytest.mark.parametrize('given', [[], ['scribbles', 'reference']])
def test_one_source_of_colour_is_needed(given):
  truth = two_grounds()
  with pytest.raises(ValueError, match='One of `scribbles` and `reference`'):
    colorize(KEY, truth[..., :1], **dict.fromkeys(given, truth))


def test_a_picture_of_a_wrong_shape_is_refused():
  truth = two_grounds()
  with pytest.raises(ValueError, match=r'`image` must be .*\(32, 40\)'):
    colorize(KEY, truth[..., 0], scribbles=truth)
  with pytest.raises(ValueError, match='`num_samples`'):
    colorize(KEY, truth, scribbles=truth, num_samples=-1)


def test_a_reference_colours_a_picture_of_another_size():
  reference, truth = two_grounds((48, 30)), two_grounds((32, 40))[:, ::-1]
  grey = (2 * luminance_of(truth) - 1)[..., None]
  found = colorize(KEY, grey, reference=reference, num_samples=1)
  assert fidelity.psnr(found.mean, truth) > 23
  assert found.found['source'] == 'reference'
  np.testing.assert_allclose(
    luminance_of(found.mean), luminance_of(grey), atol=1e-5
  )


def test_a_wrong_reference_is_refused():
  truth = two_grounds()
  grey = (2 * luminance_of(truth) - 1)[..., None]
  with pytest.raises(ValueError, match=r'`reference` must be a colour'):
    colorize(KEY, grey, reference=grey)
  with pytest.raises(ValueError, match='`reference` must have colours'):
    colorize(KEY, grey, reference=np.repeat(grey, 3, axis=-1))


def test_a_colour_out_of_range_is_weakened_at_equal_luminance():
  luminance = np.array([[0.0, 0.1, 0.9, 1.0]])
  chroma = np.full((1, 4, 2), (0.6, -0.3))
  image = to_colour(luminance, chroma)
  assert np.all(abs(image) <= 1)
  np.testing.assert_allclose(luminance_of(image), luminance, atol=1e-6)
  np.testing.assert_array_equal(image[0, 0], -1)
