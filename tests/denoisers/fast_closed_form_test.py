"""The tree of patches, and sums over it against sums over all patches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import skimage.data

from internal_diffusion.data import patches
from internal_diffusion.denoisers import fast_closed_form, leaf_search
from internal_diffusion.denoisers.closed_form import ClosedFormDenoiser
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
  return build_patch_tree(image[None], patch_size=SIDE, core_size=CORE)


@pytest.fixture(scope='module')
def places():
  return np.indices((42, 54)).reshape(2, -1).T


def noisy(image, sigma):
  """The patches of a noisy image."""
  x = image + sigma * jax.random.normal(jax.random.key(1), image.shape)
  return patches.extract_patches(x, patch_size=SIDE).reshape(-1, 147)


def cores_of(vectors):
  return patches.crop_patches(vectors, patch_size=SIDE, size=CORE)


def test_every_patch_is_in_one_leaf(tree, vectors):
  live = np.asarray(tree.live)
  assert live.sum() == len(vectors)
  assert len(live) == 8
  assert (live.sum(axis=1) > 0).all()
  numbers = np.asarray(tree.position)[live] @ (0, 54, 1)
  assert (np.sort(numbers) == np.arange(len(vectors))).all()
  wanted = np.asarray(vectors)[numbers]
  leaves, basis = np.asarray(tree.leaves), np.asarray(tree.basis)
  found = np.asarray(tree.mean) + leaves[live] @ basis.T
  np.testing.assert_allclose(found, wanted, atol=1e-4)
  np.testing.assert_allclose(
    np.asarray(tree.core)[live], cores_of(wanted), atol=1e-6
  )


def test_every_position_leads_to_its_leaf(tree):
  leaf = np.broadcast_to(np.arange(8)[:, None], tree.live.shape)
  image, row, column = np.moveaxis(np.asarray(tree.position), -1, 0)
  assert (np.asarray(tree.leaf_at)[image, row, column] == leaf).mean() > 0.99


@pytest.mark.parametrize(
  ('sigma', 'bound'),
  [(80.0, 2e-3), (8.0, 1e-4), (2.0, 1e-4), (0.3, 0.01), (0.1, 1e-3)],
)
def test_is_near_the_sum_over_all_patches(
  tree, image, vectors, places, sigma, bound
):
  x, sigma = noisy(image, sigma), jnp.float32(sigma)
  wanted = ClosedFormDenoiser.create(vectors)(x, sigma, None)
  whole = fast_closed_form.denoise_patches(tree, x, sigma, places)
  error = jnp.linalg.norm(whole - wanted) / jnp.linalg.norm(wanted)
  assert error < bound
  core = fast_closed_form.denoise_cores(
    tree, x, sigma, places, patch_size=SIDE, core_size=CORE
  )
  np.testing.assert_allclose(core, cores_of(whole), atol=2e-3)


def test_compiles_once_for_all_noise_levels(tree, vectors, places):
  denoise_fn = jax.jit(
    lambda tree, x, sigma: fast_closed_form.denoise_patches(
      tree, x, sigma, places[:64]
    )
  )
  for sigma in (100.0, 8.0, 1.0, 0.01):
    denoised = denoise_fn(tree, vectors[:64], jnp.float32(sigma))
    assert np.isfinite(denoised).all()
  assert denoise_fn._cache_size() == 1


def test_any_number_of_queries(tree, image, vectors, places):
  x = noisy(image, 0.2)
  whole = ClosedFormDenoiser.create(vectors)(x, jnp.float32(0.2), None)
  for count in (1, 2, 17, 200):
    part = fast_closed_form.denoise_patches(
      tree, x[:count], jnp.float32(0.2), places[:count]
    )
    error = jnp.linalg.norm(part - whole[:count])
    assert error < 0.01 * jnp.linalg.norm(whole[:count])


def test_what_an_anchor_finds_is_offered_to_its_neighbours(tree, vectors):
  # Queries too noisy for the leaves' centres, yet the neighbours agree.
  z = (vectors - tree.mean[None]) @ tree.basis
  places = np.indices((42, 54)).reshape(2, -1).T
  leaf = np.asarray(
    leaf_search.coherent_leaves(tree, z, jnp.float32(0.01), places)
  )
  own = np.asarray(tree.leaf_at).reshape(-1)
  assert (leaf == own[:, None]).any(axis=1).mean() > 0.98
  named = np.sort(np.where(leaf < 8, leaf, -np.arange(1, 1 + leaf.shape[1])))
  assert (np.diff(named, axis=1) > 0).all()  # None twice.


@pytest.mark.parametrize('num_leaves', [1, 5])
def test_results_come_back_to_their_queries(tree, vectors, num_leaves):
  z = ((vectors - tree.mean[None]) @ tree.basis)[:300]
  leaf = jax.random.randint(jax.random.key(2), (300, num_leaves), 0, 9)
  found = leaf_search.over_leaves(
    tree,
    z,
    leaf,
    lambda score, leaf: (score.max(axis=-1), score[:, 0] * 0 + leaf),
  )
  asked = np.asarray(leaf) < 8
  assert (np.asarray(found[1]) == leaf)[asked].all()
  distance = ((z[:, None, None] - tree.leaves[None]) ** 2).sum(-1)
  distance = jnp.where(tree.live[None], distance, jnp.inf)
  wanted = ((z**2).sum(-1)[:, None] - distance.min(-1)) / 2
  wanted = np.take_along_axis(np.asarray(wanted), np.minimum(leaf, 7), 1)
  np.testing.assert_allclose(
    np.asarray(found[0])[asked], wanted[asked], atol=1e-3
  )


def test_real_patches_are_found_where_they_are(image):
  # Two images: the second is asked for.
  both = jnp.stack([image[:30], image[18:]])
  tree = build_patch_tree(both, patch_size=SIDE, core_size=CORE, stride=2)
  asked = patches.extract_patches(image[28:], patch_size=SIDE, stride=2)
  rows, columns = np.indices(asked.shape[:2]).reshape(2, -1)
  found = fast_closed_form.nearest_positions(
    tree, asked.reshape(-1, 147), np.stack([rows, columns], axis=-1)
  )
  wanted = np.stack([np.ones_like(rows), rows + 5, columns], axis=-1)
  assert (np.asarray(found) == wanted).all(axis=-1).mean() > 0.9


def test_boxes_of_a_clip_have_the_exact_posterior_mean():
  rng = np.random.default_rng(0)
  clip = rng.normal(size=(5, 12, 13, 1)).astype(np.float32)
  shape, core, stride = (3, 5, 3), (1, 3, 3), (1, 1, 2)
  found = build_patch_tree(
    clip[None], patch_size=shape, core_size=core, stride=stride
  )
  assert found.position.shape[-1] == 4
  boxes = patches.extract_patches(
    jnp.asarray(clip), patch_size=shape, stride=stride
  )
  grid = boxes.shape[:3]
  boxes = boxes.reshape(-1, 45)
  x = boxes + 0.8 * jnp.asarray(rng.normal(size=boxes.shape), jnp.float32)
  mean = fast_closed_form.denoise_cores(
    found,
    x,
    jnp.float32(0.8),
    np.indices(grid).reshape(3, -1).T,
    patch_size=shape,
    core_size=core,
  )
  exact = ClosedFormDenoiser.create(boxes)(x, jnp.float32(0.8))
  np.testing.assert_allclose(
    mean,
    patches.crop_patches(exact, patch_size=shape, size=core),
    atol=1e-4,
  )
