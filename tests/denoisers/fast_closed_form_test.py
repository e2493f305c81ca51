"""The tree of patches, and sums over it against sums over all patches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import skimage.data

from internal_diffusion.data import patches
from internal_diffusion.denoisers import fast_closed_form
from internal_diffusion.denoisers.closed_form import make_closed_form_denoise_fn
from internal_diffusion.denoisers.patch_tree import build_patch_tree

SIDE, CORE = 7, 5


@pytest.fixture(scope='module')
def image():
  coffee = 2 * skimage.data.coffee()[40:280:5, 100:400:5] / np.float32(255) - 1
  return jnp.asarray(coffee)  # [48, 60, 3]


@pytest.fixture(scope='module')
def vectors(image):
  return patches.extract_patches(image, patch_size=SIDE).reshape(-1, 147)


@pytest.fixture(scope='module')
def tree(image):
  return build_patch_tree([image], patch_size=SIDE, core_size=CORE)


def noisy(vectors, sigma):
  noise = jax.random.normal(jax.random.key(1), vectors.shape)
  return vectors + sigma * noise


def cores_of(vectors):
  return patches.crop_patches(vectors, patch_size=SIDE, size=CORE)


def test_every_patch_is_in_one_leaf(tree, vectors):
  live = np.asarray(tree.live)
  assert live.sum() == len(vectors)
  assert len(live) == 8
  assert (live.sum(axis=1) > 0).all()
  place = np.asarray(tree.position)[live][:, 1:].astype(int) - SIDE // 2
  numbers = place[:, 0] * 54 + place[:, 1]
  assert (np.sort(numbers) == np.arange(len(vectors))).all()
  wanted = np.asarray(vectors)[numbers]
  leaves, basis = np.asarray(tree.leaves), np.asarray(tree.basis)
  found = np.asarray(tree.mean) + leaves[live] @ basis.T
  np.testing.assert_allclose(found, wanted, atol=1e-4)
  np.testing.assert_allclose(
    np.asarray(tree.core)[live], cores_of(wanted), atol=1e-6
  )


def test_thinned_patches_are_the_far_field_and_count_for_all(tree, vectors):
  thinned = np.asarray(tree.leaves)[np.asarray(tree.thinned & tree.live)]
  far = np.asarray(tree.far)
  assert len(thinned) == len(far) == 14 * 18
  np.testing.assert_allclose(
    np.sort(thinned[:, 0]), np.sort(far[:, 0]), atol=1e-6
  )
  assert float(tree.far_mass) * len(far) == pytest.approx(len(vectors))


@pytest.mark.parametrize(
  ('sigma', 'bound'),
  [(40.0, 2e-3), (8.0, 0.01), (2.0, 0.02), (0.5, 0.02), (0.1, 0.01)],
)
def test_is_near_the_sum_over_all_patches(tree, vectors, sigma, bound):
  x, sigma = noisy(vectors, sigma), jnp.float32(sigma)
  wanted = make_closed_form_denoise_fn(vectors)(x, sigma, None)
  whole = fast_closed_form.denoise_patches(tree, x, sigma)
  error = jnp.linalg.norm(whole - wanted) / jnp.linalg.norm(wanted)
  assert error < bound
  core = fast_closed_form.denoise_cores(
    tree, x, sigma, patch_size=SIDE, core_size=CORE
  )
  np.testing.assert_allclose(core, cores_of(whole), atol=2e-3)


def test_is_exact_where_the_near_field_is_everything(image, vectors):
  tree = build_patch_tree([image[:24, :24]], patch_size=SIDE, core_size=CORE)
  assert len(tree.leaves) == 1
  own = patches.extract_patches(image[:24, :24], patch_size=SIDE)
  own = own.reshape(-1, 147)
  for sigma in (8.0, 1.0):
    x = noisy(vectors[:300], sigma)
    wanted = make_closed_form_denoise_fn(own)(x, jnp.float32(sigma), None)
    found = fast_closed_form._sum_over_patches(
      tree,
      (x - tree.mean[None]) @ tree.basis,
      jnp.float32(sigma),
      mode=fast_closed_form._Mode(1.0, True),
      values=tree.leaves,
      far_values=tree.far,
    )
    found = tree.mean[None] + found @ tree.basis.T
    np.testing.assert_allclose(found, wanted, atol=2e-4)


def test_compiles_once_for_all_noise_levels(tree, vectors):
  denoise_fn = jax.jit(fast_closed_form.denoise_patches)
  for sigma in (100.0, 8.0, 1.0, 0.01):
    denoised = denoise_fn(tree, vectors[:64], jnp.float32(sigma))
    assert np.isfinite(denoised).all()
  assert denoise_fn._cache_size() == 1


def test_any_number_of_queries(tree, vectors):
  x = noisy(vectors, 0.5)
  whole = fast_closed_form.denoise_patches(tree, x[:200], jnp.float32(0.5))
  for count in (1, 17):
    part = fast_closed_form.denoise_patches(tree, x[:count], jnp.float32(0.5))
    np.testing.assert_allclose(part, whole[:count], atol=1e-4)


def test_real_patches_are_found_where_they_are(image, vectors):
  # Two images: the second is asked for.
  tree = build_patch_tree(
    [image[:30], image], patch_size=SIDE, core_size=CORE, stride=2
  )
  asked = patches.extract_patches(image[30:], patch_size=SIDE, stride=2)
  found = fast_closed_form.nearest_positions(tree, asked.reshape(-1, 147))
  rows, columns = np.indices(asked.shape[:2]).reshape(2, -1) * 2 + SIDE // 2
  wanted = np.stack([np.ones_like(rows), rows + 30, columns], axis=-1)
  assert (np.asarray(found) == wanted).all(axis=-1).mean() > 0.9
