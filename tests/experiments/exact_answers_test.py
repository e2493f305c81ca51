"""The answers that experiments are checked against, by other ways."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.data import pair_table, synthetic, triplets
from internal_diffusion.data.pyramid import stack_pyramid
from internal_diffusion.denoisers.closed_form import ClosedFormDenoiser
from internal_diffusion.experiments import (
  checkerboard,
  frequencies,
  memorization_1d,
  one_to_many,
  points,
)
from internal_diffusion.experiments.result import Measure
from internal_diffusion.types import Condition


def test_kernel_weights_are_the_closed_form_at_infinite_noise():
  ring = points.ring(12)
  queries = ring[:3] + 0.1
  denoise_fn = ClosedFormDenoiser.create(
    jnp.asarray(ring), conditions=jnp.asarray(ring), sigma_aug=0.4
  )
  mean = denoise_fn(
    jnp.zeros((3, 2)), jnp.inf, Condition(vector=jnp.asarray(queries))
  )
  weights = points.kernel_weights(queries, ring, sigma_aug=0.4)
  np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-6)
  np.testing.assert_allclose(mean, weights @ ring, atol=1e-5)


def test_without_noise_points_of_one_condition_share_its_weight():
  conditions = np.array([[0.0], [0.0], [1.0]])
  weights = points.kernel_weights(conditions, conditions, sigma_aug=0.0)
  np.testing.assert_array_equal(
    weights, [[0.5, 0.5, 0], [0.5, 0.5, 0], [0, 0, 1]]
  )


def test_nearest_frequencies_count():
  samples = np.array([[0.1], [0.9], [1.2], [-3.0]])
  found = frequencies.nearest_frequencies(samples, np.array([[0.0], [1.0]]))
  np.testing.assert_array_equal(found, [0.5, 0.5])


def test_the_exact_posterior_of_two_dark_patches_is_a_tent():
  # In a square of 10 there are 4 - |d| places for two patches d apart.
  image = synthetic.checkerboard()
  table = pair_table.make_pair_table(
    [(80, 80)], patch_size=7, displacement_range=((-3, 3), (-3, 3))
  )
  everything = triplets.enumerate_triplets(
    stack_pyramid([jnp.asarray(image)]),
    table,
    patch_size=7,
    displacement_range=((-3, 3), (-3, 3)),
  )
  dark = (everything.source == -1).all(axis=-1)
  dark &= (everything.target == -1).all(axis=-1)
  found = checkerboard._histogram(
    checkerboard._displacement(everything.delta[dark])
  )
  tent = 4 - abs(np.arange(-3, 4))
  expected = np.outer(tent, tent) / tent.sum() ** 2
  np.testing.assert_allclose(found, expected, atol=1e-6)


def test_modes_are_counted_by_place():
  # Two rows of grey, then a texture of two different columns, in turn.
  texture = np.array([[0.5], [-0.5], [0.5]], np.float32)[:, :, None]
  texture = np.repeat(texture, 3, axis=1)
  image = synthetic.beside_grey(np.tile(texture, (2, 1, 1)), num_repeats=2)
  table = pair_table.make_pair_table(
    [image.shape[:2]], patch_size=3, displacement_range=((0, 0), (3, 3))
  )
  everything = triplets.enumerate_triplets(
    stack_pyramid([jnp.asarray(image)]),
    table,
    patch_size=3,
    displacement_range=((0, 0), (3, 3)),
  )
  modes = one_to_many.exact_modes(everything)
  # Rows of the texture: + - + + - +, so three patches at four places.
  np.testing.assert_allclose(modes.probability, [0.5, 0.25, 0.25])
  first_rows = {tuple(np.sign(t.reshape(3, 3)[:, 0])) for t in modes.targets}
  assert first_rows == {(1, -1, 1), (-1, 1, 1), (1, 1, -1)}


def test_mode_frequencies_find_the_nearest_mode():
  modes = one_to_many.Modes(np.eye(3), np.full(3, 1 / 3))
  noise = np.array([[0.1, 0, 0], [0, 0.1, 0], [0, 0, 0.1], [0.1, 0, 0]])
  frequency, distance = one_to_many.mode_frequencies(
    np.eye(3)[[0, 0, 1, 2]] + noise, modes
  )
  np.testing.assert_array_equal(frequency, [0.5, 0.25, 0.25])
  np.testing.assert_allclose(distance, 0.1 / np.sqrt(3), rtol=1e-6)


def test_recurrence_is_exact_or_nearly_so():
  exact, near, x0 = memorization_1d.make_data(0)
  assert len(np.unique(exact)) == 6
  assert len(np.unique(near)) == len(np.unique(x0)) == len(x0) == 24
  assert abs(near - exact).max() < 0.1
  drawn = np.repeat(x0, 4, axis=1)
  drawn[:, 0] += 1.0
  assert memorization_1d.copied_fraction(drawn, x0) == 0.75


def test_total_variation_and_goals():
  assert (
    frequencies.total_variation(np.array([1.0, 0]), np.array([0, 1.0])) == 1
  )
  assert Measure(0.5, at_most=0.4).is_met is False
  assert Measure(0.5, at_least=0.4).is_met is True
  assert Measure(0.5).is_met is None
  assert Measure(0.5, at_most=0.4).goal == 'at most 0.4'


@pytest.mark.parametrize('subpixel', [False, True])
def test_identical_patches_are_told_apart_by_nothing(subpixel):
  # On a uniform background the drawn displacements fill their whole range.
  image = jnp.zeros((16, 16, 1))
  table = pair_table.make_pair_table(
    [(16, 16)], patch_size=7, displacement_range=((-1, 1), (-1, 1))
  )
  drawn = triplets.sample_triplets(
    jax.random.key(0),
    stack_pyramid([image]),
    table,
    num=5000,
    patch_size=7,
    displacement_range=((-1, 1), (-1, 1)),
    subpixel=subpixel,
  )
  np.testing.assert_allclose(drawn.target, drawn.source, atol=1e-6)
  values = np.asarray(drawn.delta[:, :2])
  assert values.min() < -0.6
  assert values.max() > 0.6
  assert len(np.unique(values[:, 0].round(3))) > (100 if subpixel else 2)
