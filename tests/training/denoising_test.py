"""The denoiser before training."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.data.distributions import Layout, Part
from internal_diffusion.options import replace
from internal_diffusion.training import denoising
from internal_diffusion.training.examples import point_examples
from internal_diffusion.training.options import DenoiserOptions, NetworkOptions

OPTIONS = DenoiserOptions(
  network=NetworkOptions(width=16, depth=1, embedding_dim=8),
)


def test_the_first_denoiser_is_the_wiener_filter_of_the_examples():
  # Eight corners of a box: mean and covariance are known.
  corners = np.array(np.meshgrid([0, 2], [0, 4], [0, 6])).reshape(3, -1).T
  x0 = jnp.asarray(corners, jnp.float32)
  model = denoising.make_denoiser(point_examples(x0), OPTIONS)
  variance = np.array([1.0, 4.0, 9.0])
  mean = np.array([1.0, 2.0, 3.0])
  expected = mean + (corners - mean) * variance / (variance + 0.25)
  # The bases are fitted to draws.
  np.testing.assert_allclose(model(x0, jnp.float32(0.5)), expected, atol=0.05)


def test_the_seed_decides_the_parameters_alone():
  x0 = jax.random.normal(jax.random.key(0), (50, 3))
  examples = point_examples(x0)
  models = [
    denoising.make_denoiser(examples, replace(OPTIONS, seed=seed))
    for seed in (0, 0, 1)
  ]
  leaves = [
    np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(m.params)])
    for m in models
  ]
  np.testing.assert_array_equal(leaves[0], leaves[1])
  assert (leaves[0] != leaves[2]).any()
  structures = {jax.tree.structure(model) for model in models}
  assert len(structures) == 1


def test_a_network_of_the_options():
  layout = Layout((Part('a', 3),), (Part('b', 2),), num_levels=4)
  plain = denoising.make_network(layout, OPTIONS)
  assert (plain.width, plain.depth, plain.num_levels) == (16, 1, 4)
  assert plain.num_parts == 0
  dropout = replace(OPTIONS, condition={'dropout': 0.1})
  assert denoising.make_network(layout, dropout).num_parts == 1


def test_the_first_denoiser_is_that_of_the_mixture_where_there_is_one():
  rng = np.random.default_rng(0)
  centres = np.array([[3.0, 0.0], [-3.0, 1.0]], np.float32)
  x0 = centres[rng.integers(2, size=200)]
  x0 = (x0 + 0.1 * rng.normal(size=x0.shape)).astype(np.float32)
  options = replace(OPTIONS, num_gaussians=2)
  examples = point_examples(x0)
  model = denoising.make_denoiser(examples, options)
  x = jnp.asarray(x0[:20]) + 0.3
  found = np.asarray(model(x, jnp.float32(0.5)))
  # The exact posterior mean, given the nearest centre.
  near = centres[abs(x0[:20, :1] - centres[:, 0]).argmin(axis=1)]
  exact = near + 0.01 / (0.01 + 0.25) * (np.asarray(x) - near)
  np.testing.assert_allclose(found, exact, atol=0.06)


def test_a_mixture_needs_the_wiener_filter_and_one_part():
  with pytest.raises(ValueError, match='`num_gaussians` must be 0 with'):
    replace(OPTIONS, num_gaussians=2, parametrization='edm')
  with pytest.raises(ValueError, match='num_gaussians'):
    replace(OPTIONS, num_gaussians=-1)
