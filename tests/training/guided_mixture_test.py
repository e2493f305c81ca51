import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion import compilation
from internal_diffusion.denoisers.guided_mixture import GuidedMixture
from internal_diffusion.training.guided_mixture import improve_guided_mixture

DIM, NOISE = 5, 0.2
FIRST = np.zeros(1500, np.int32)


def make_vectors(seed=0):
  """Two sums of the coordinates, with noise; half of them are seen."""
  rng = np.random.default_rng(seed)
  basis = np.random.default_rng(9).normal(size=(2, DIM))
  clean = rng.normal(size=(len(FIRST), 2)) @ basis + 0.5
  noisy = clean + NOISE * rng.normal(size=clean.shape)
  seen = rng.uniform(size=clean.shape) < 0.5
  return basis.T @ basis, jnp.float32(noisy), jnp.float32(seen / NOISE**2)


def start(num_components=1):
  return GuidedMixture(
    jnp.zeros(num_components),
    jnp.zeros((num_components, DIM)),
    jnp.broadcast_to(jnp.eye(DIM), (num_components, DIM, DIM)),
  )


def test_recovers_a_gaussian_from_half_of_the_coordinates():
  covariance, noisy, precision = make_vectors()
  mixture = start()
  for _ in range(60):
    mixture = improve_guided_mixture(mixture, noisy, precision, FIRST)
  np.testing.assert_allclose(mixture.means[0], [0.5] * DIM, atol=0.2)
  np.testing.assert_allclose(mixture.covariances[0], covariance, atol=0.3)


def test_values_of_missing_parts_do_not_matter():
  _, noisy, precision = make_vectors()
  other = jnp.where(precision > 0, noisy, 7.0)
  found = improve_guided_mixture(start(), other, precision, FIRST)
  wanted = improve_guided_mixture(start(), noisy, precision, FIRST)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), found, wanted
  )


def test_an_empty_component_has_the_average_covariance():
  _, noisy, precision = make_vectors()
  found = improve_guided_mixture(start(2), noisy, precision, FIRST)
  np.testing.assert_allclose(*found.covariances, atol=1e-4)
  assert found.log_weights[1] < found.log_weights[0] - 5


def test_other_vectors_of_the_same_shape_compile_nothing():
  (_, *first), (_, *second) = (make_vectors(seed) for seed in (0, 1))
  improve_guided_mixture(start(), *first, FIRST)
  before = start()
  with compilation.measure_compilation() as meter:
    improve_guided_mixture(before, *second, FIRST)
  assert meter.count == 0


def test_bad_arguments():
  _, noisy, precision = make_vectors()
  with pytest.raises(ValueError, match=r'\(1500, 5\) and \(1499, 5\)'):
    improve_guided_mixture(start(), noisy, precision[1:], FIRST)
