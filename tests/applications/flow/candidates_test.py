"""Modes of displacements: matches of known motion, energies by brute force."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.applications.flow import (
  candidates,
  matching,
  scanlines,
)
from internal_diffusion.applications.flow.candidates import Modes


@pytest.fixture(scope='module')
def frames():
  return jnp.asarray(
    np.random.default_rng(0).uniform(-1, 1, (2, 7, 9, 3)), jnp.float32
  )


def test_costs_of_a_product_are_those_of_single_displacements(frames):
  first, second = map(matching.describe, frames)
  every = matching.all_costs(first, second, reach=(2, 3))
  assert every.shape == (7, 9, 5, 7)
  y, x = np.mgrid[-2:3, -3:4]
  displacement = np.stack([x.ravel(), y.ravel()], axis=-1)
  some = matching.costs_at(
    first, second, jnp.asarray(np.broadcast_to(displacement, (7, 9, 35, 2)))
  )
  np.testing.assert_allclose(every.reshape(7, 9, 35), some, atol=1e-4)
  assert 0 <= every.min() < every.max() <= 1


def test_equal_content_costs_nothing(frames):
  one = matching.describe(frames[0])
  cost = matching.costs_at(one, one, jnp.zeros((7, 9, 1, 2)))
  np.testing.assert_allclose(cost, 0, atol=1e-6)


def lowest_energies(cost, jump):
  """By brute force, of a row of n pixels with K labels 0, ..., K - 1."""
  num, labels = cost.shape
  found = np.full((num, labels), np.inf)
  for path in itertools.product(range(labels), repeat=num):
    apart = np.abs(np.diff(path))
    energy = cost[range(num), path].sum()
    energy += np.minimum(0.2 * apart, jump[:-1]).sum()
    for i, label in enumerate(path):
      found[i, label] = min(found[i, label], energy)
  return found


@pytest.mark.parametrize('is_grid', [True, False])
def test_marginals_of_a_row_are_exact(frames, is_grid):
  cost = np.random.default_rng(1).uniform(0, 2, (1, 5, 2)).astype('f4')
  jumps = scanlines.jumps_of(frames[0, :1, :5])
  if is_grid:
    found = scanlines.marginals_of_all(jnp.asarray(cost)[:, :, None], jumps)
    found = found[:, :, 0]
  else:
    labels = np.zeros((1, 5, 2, 2), np.float32)
    labels[..., 1, 0] = 1
    found = scanlines.marginals_of_some(
      jnp.asarray(cost), jnp.asarray(labels), jumps
    )
  expected = lowest_energies(cost[0], np.asarray(jumps.along_x[0]))
  np.testing.assert_allclose(
    np.diff(found[0], axis=-1), np.diff(expected, axis=-1), atol=1e-5
  )


def test_a_repeated_texture_has_a_mode_for_each_repetition():
  x = np.arange(48)
  rng = np.random.default_rng(0)
  rows = rng.uniform(0.2, 0.8, (24, 1))  # Nothing moves along y.
  first, second = (
    (rows * np.cos(2 * np.pi * (x - shift) / 12))[..., None].astype('f4')
    for shift in (0, 6)
  )
  modes = candidates.search_modes(first, second, reach=(0, 8))
  inner = np.s_[:, 10:-10]
  places, weight = (np.asarray(values)[inner] for values in modes)
  for true in (6, -6):
    is_true = (places == [true, 0]).all(-1)
    assert is_true.any(-1).mean() > 0.95
    assert np.median((is_true * weight).sum(-1)) == pytest.approx(0.5, abs=0.1)
  # The mean is neither.
  mean = np.sum(weight * places[..., 0], axis=-1)
  assert np.median(np.abs(mean)) < 1


def test_the_chosen_flow_is_the_first_mode():
  places = jnp.array([[5, 0], [-7, 0], [0, 9], [0, 0]])[None, None]
  modes = Modes(places, jnp.array([[[0.5, 0.3, 0.2, 0.0]]]))
  near = candidates.with_chosen(modes, jnp.array([[[-6.5, 0.25]]]))
  np.testing.assert_allclose(
    near.displacement[0, 0], [[-6.5, 0.25], [5, 0], [0, 9], [0, 0]]
  )
  np.testing.assert_allclose(near.weight[0, 0], [0.3, 0.5, 0.2, 0])
  far = candidates.with_chosen(modes, jnp.array([[[20.0, 0.0]]]))
  np.testing.assert_allclose(
    far.displacement[0, 0], [[20, 0], [5, 0], [-7, 0], [0, 9]]
  )
  np.testing.assert_allclose(far.weight[0, 0], [0, 0.5, 0.3, 0.2])


def test_modes_are_apart_and_their_weights_a_distribution(frames):
  modes = candidates.search_modes(*frames, reach=(3, 3))
  np.testing.assert_allclose(modes.weight.sum(-1), 1, atol=1e-5)
  assert jnp.all(jnp.diff(modes.weight, axis=-1) <= 1e-6)
  apart = jnp.abs(
    modes.displacement[:, :, :, None] - modes.displacement[:, :, None]
  ).max(-1)
  is_pair = (modes.weight[:, :, :, None] > 0) & (modes.weight[:, :, None] > 0)
  is_pair &= ~jnp.eye(4, dtype=bool)[None, None]
  assert jnp.min(jnp.where(is_pair, apart, 9)) >= 2
  again = candidates.search_modes(*frames, reach=(3, 3))
  assert jax.tree.all(jax.tree.map(jnp.array_equal, modes, again))
