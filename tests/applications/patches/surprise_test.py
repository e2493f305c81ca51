"""Surprise against densities that are known."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from internal_diffusion.applications import patches
from internal_diffusion.denoisers.kernel_density import kernel_log_density
from internal_diffusion.options import replace


def test_density_is_the_mean_of_gaussians_without_those_nearby():
  rng = np.random.default_rng(0)
  references = rng.normal(size=(9, 4)).astype(np.float32)
  places = np.indices((3, 3)).reshape(2, -1).T
  found = kernel_log_density(
    jnp.asarray(references),
    jnp.asarray(references),
    jnp.float32([0.5, 2.0]),
    places=jnp.asarray(places),
    reference_places=jnp.asarray(places),
    radius=2,
  )
  # At the corner (0, 0), all with row or column 2 are left.
  left = references[places.max(axis=1) >= 2]
  for index, sigma in enumerate((0.5, 2.0)):
    densities = [
      scipy.stats.multivariate_normal(mean, sigma**2).pdf(references[0])
      for mean in left
    ]
    np.testing.assert_allclose(
      found[0, index], np.log(np.mean(densities)), rtol=1e-4
    )
  # The centre overlaps all.
  assert (np.asarray(found[4]) == -np.inf).all()


def test_what_occurs_once_is_the_most_surprising():
  image = np.tile(np.sin(np.arange(40) * 2 * np.pi / 8), (40, 1))[..., None]
  image = 0.5 * image.astype(np.float32)
  image[18:23, 18:23] = 0.9
  found = patches.surprise_map(image, patch_size=5)
  assert found.bits.shape == (40, 40)
  assert np.isnan(found.bits[:2]).all()
  assert np.isfinite(found.bits[2:-2, 2:-2]).all()
  highest = np.unravel_index(np.nanargmax(found.bits), found.bits.shape)
  assert max(abs(np.array(highest) - 20)) <= 3
  # To an image without the spot it is more surprising still; to the image
  # itself, with nothing left out, not at all.
  plain = np.delete(image, slice(16, 25), axis=0)
  other = patches.surprise_map(
    image, reference=plain, patch_size=5, sigma=found.sigma
  )
  own = patches.surprise_map(
    image, reference=image, patch_size=5, sigma=found.sigma
  )
  assert other.bits[20, 20] > own.bits[20, 20] + 2


def test_a_learned_model_has_a_map(image, model):
  found = patches.model_surprise_map(jax.random.key(0), model, image[:12, :14])
  assert found.bits.shape == (12, 14)
  assert np.isfinite(found.bits[2:-2, 2:-2]).all()
  assert found.sigma == model.options.noise.sigma_min


@pytest.mark.parametrize(
  ('options', 'word'),
  [
    ({'patch_size': 4}, 'patch_size'),
    ({'patch_size': 21}, 'patch_size'),
    ({'sigma': 0.0}, 'sigma'),
    ({'reference': np.zeros((32, 32, 1), np.float32)}, 'reference'),
  ],
)
def test_bad_input_is_named(image, options, word):
  with pytest.raises(ValueError, match=word):
    patches.surprise_map(image, **options)


def test_models_without_a_density_of_patches_are_refused(image, model):
  other = replace(
    patches.delta_given_pair_options(), patch_size=model.options.patch_size
  )
  with pytest.raises(ValueError, match='distribution'):
    patches.model_surprise_map(
      jax.random.key(0), dataclasses.replace(model, options=other), image
    )
  with pytest.raises(ValueError, match='channels'):
    patches.model_surprise_map(jax.random.key(0), model, image[..., :1])
