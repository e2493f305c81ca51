"""A learned model that makes whole images."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import skimage.data

from internal_diffusion import options as options_lib
from internal_diffusion.applications.images import (
  find_sources,
  generate,
  make_cascade_prior,
)
from internal_diffusion.applications.patches import (
  PatchOptions,
  cascade_options,
  learn_patches,
)
from internal_diffusion.applications.patches.examples import (
  image_examples,
  level_sizes,
)
from internal_diffusion.compilation import measure_compilation
from internal_diffusion.data import cascade as cascade_data
from internal_diffusion.data import patches, pyramid
from internal_diffusion.sampling.wrapping import WrappedBorder

SIDE = 5
OPTIONS = options_lib.replace(
  cascade_options(),
  patch_size=SIDE,
  pyramid={'min_side': 16},
  network={'width': 32, 'depth': 1},
  batch_size=64,
  num_references=64,
  num_steps=100,
  max_minutes=0.0,
  steps_per_call=50,
)


@pytest.fixture(scope='module')
def image():
  return 2 * skimage.data.coffee()[::6, ::6].astype(np.float32) / 255 - 1


@pytest.fixture(scope='module')
def model(image):
  return learn_patches(image, OPTIONS)


def test_examples_make_the_levels_again(image):
  examples = image_examples(image, OPTIONS)
  target, cond = examples.draw(jax.random.key(0), examples.data, 300)
  assert set(np.asarray(cond.level)) == {0, 1}
  # A source's centre and its target's add up to a pixel of the level.
  levels = pyramid.build_levels(image, level_sizes(*image.shape[:2], OPTIONS))
  centre = 3 * (SIDE**2 // 2) + np.arange(3)
  whole = np.asarray(target + cond.vector)[:, centre]
  for level in range(2):
    pixels = np.asarray(levels[level]).reshape(-1, 3)
    found = whole[np.asarray(cond.level) == level]
    away = np.abs(found[:, None] - pixels[None]).max(-1).min(-1)
    assert away.max() < 1e-5


def test_the_sources_of_sampling_are_those_of_training(image):
  data = image_examples(image, OPTIONS).data
  target, source, level = cascade_data.sample_pairs(
    jax.random.key(1), data, num=200, patch_size=SIDE
  )
  residual = data.residual.images[0]
  dense = patches.extract_patches(residual, patch_size=SIDE)
  places = np.argwhere(np.ones(dense.shape[:2]))
  all_sources = cascade_data.sources_at(
    data.enlarged.images[0], jnp.asarray(places), patch_size=SIDE
  )
  dense = np.asarray(dense).reshape(len(places), -1)
  is_finest = np.asarray(level) == 0
  for one, seen in zip(
    np.asarray(target)[is_finest], np.asarray(source)[is_finest], strict=True
  ):
    index = np.abs(dense - one).max(axis=-1).argmin()
    np.testing.assert_allclose(all_sources[index], seen, atol=1e-6)


def test_sources_see_twice_as_far_and_mirror_at_borders():
  ramp = jnp.arange(12.0)[:, None, None] + jnp.zeros((1, 12, 1))
  padded = cascade_data.pad_for_sources(ramp, patch_size=SIDE)
  inner, corner = cascade_data.sources_at(
    padded, jnp.array([[4, 4], [0, 0]]), patch_size=SIDE
  ).reshape(2, SIDE, SIDE)
  # The target's centre is 2 pixels below its top: row 6, then row 2.
  np.testing.assert_array_equal(inner[:, 0], [2, 4, 6, 8, 10])
  np.testing.assert_array_equal(corner[:, 0], [1, 0, 2, 4, 6])


def test_makes_images_of_any_size_bit_for_bit(image, model):
  prior = make_cascade_prior(model, image)
  made = generate(jax.random.key(0), prior, num_steps=2)
  with measure_compilation() as meter:
    other = make_cascade_prior(model, image)
    again = generate(jax.random.key(0), other, num_steps=2)
  assert meter.count == 0
  assert made[0].shape == image.shape
  assert np.isfinite(made[0]).all()
  np.testing.assert_array_equal(made[0], again[0])
  # The low band of a level is the coarser level's.
  low = pyramid.resize(made[0], made[1].shape[:2])
  assert np.abs(low - made[1]).mean() < 0.3 * np.std(made[1])
  source = find_sources(prior, made[0])
  assert source.shape == (*image.shape[:2], 2)


def test_wraps_borders(image, model):
  prior = make_cascade_prior(model, image)
  made = generate(
    jax.random.key(0),
    prior,
    size=(64, 80),
    num_steps=2,
    constraints=[WrappedBorder()],
  )[0]
  assert made.shape == (64, 80, 3)
  for axis in (0, 1):
    steps = np.abs(np.diff(made, axis=axis)).mean(axis=(1 - axis, 2))
    seam = np.abs(made.take(0, axis) - made.take(-1, axis)).mean()
    assert seam <= steps.max()


def test_noise_on_the_coarser_level_is_chosen_at_sampling(image):
  options = options_lib.replace(
    OPTIONS, condition={'sigma_aug': 0.05, 'sigma_aug_max': 0.5}
  )
  trained = learn_patches(image, options)
  made = [
    generate(
      jax.random.key(0),
      make_cascade_prior(trained, image, sigma_aug=level),
      num_steps=2,
    )
    for level in (None, 0.05, 0.4)
  ]
  np.testing.assert_array_equal(made[0][0], made[1][0])
  # The coarsest level is the closed form's, and has no condition.
  np.testing.assert_array_equal(made[0][-1], made[2][-1])
  assert np.abs(made[0][0] - made[2][0]).max() > 1e-3
  with pytest.raises(ValueError, match=r'`sigma_aug` must be in \[0.05, 0.5\]'):
    make_cascade_prior(trained, image, sigma_aug=0.6)


def test_bad_models(image, model):
  with pytest.raises(ValueError, match='`sigma_aug`'):
    make_cascade_prior(model, image, sigma_aug=0.2)
  with pytest.raises(ValueError, match='channels'):
    make_cascade_prior(model, image[..., :1])
  other = model.replace(options=PatchOptions(patch_size=SIDE))
  with pytest.raises(ValueError, match=r'configs/cascade\.py'):
    make_cascade_prior(other, image)
