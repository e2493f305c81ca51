import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.denoisers.masked_gaussian import condition, in_chunks

NUM, COPIES, DIM = 20, 2, 6
RNG = np.random.default_rng(0)
FACTOR = RNG.normal(size=(NUM, DIM, DIM))
COVARIANCE = FACTOR @ np.swapaxes(FACTOR, 1, 2)
MEAN = RNG.normal(size=(NUM, DIM))
Y = RNG.normal(size=(NUM, COPIES, DIM))
NOISE = RNG.uniform(0.2, 1, size=(NUM, DIM))
SEEN = RNG.uniform(size=(NUM, DIM)) < 0.6


def found_for(y):
  arrays = (y, SEEN / NOISE, MEAN, COVARIANCE)
  return condition(*(jnp.float32(array) for array in arrays))


def test_posterior_is_that_of_the_seen_coordinates():
  found = found_for(Y)
  for n in range(NUM):
    seen = SEEN[n]
    inside = COVARIANCE[n][np.ix_(seen, seen)] + np.diag(NOISE[n][seen])
    gain = np.linalg.solve(inside, COVARIANCE[n][seen]).T
    wanted = MEAN[n] + (Y[n] - MEAN[n])[:, seen] @ gain.T
    np.testing.assert_allclose(found.mean[n], wanted, atol=2e-3)
    covariance = COVARIANCE[n] - gain @ COVARIANCE[n][seen]
    np.testing.assert_allclose(found.covariance[n], covariance, atol=2e-3)


def test_values_of_missing_parts_do_not_matter():
  other = np.where(SEEN[:, None], Y, 7.0)
  for one, two in zip(found_for(Y), found_for(other), strict=True):
    np.testing.assert_allclose(one, two, atol=1e-4)


@pytest.mark.parametrize('chunk', [3, 7, 100])
def test_chunks(chunk):
  x = jnp.float32(MEAN)
  both = in_chunks(lambda a, b: (a + b, a[:, 0]), chunk, x, 2 * x)
  np.testing.assert_allclose(both[0], 3 * x)
  np.testing.assert_array_equal(both[1], x[:, 0])


def test_strong_contrast_keeps_its_precision():
  # Nearly one direction of large variance, as at an edge in colour.
  rng = np.random.default_rng(0)
  dim = 75
  factors = rng.standard_normal((4, dim, 3)) * [2.0, 0.3, 0.02]
  covariance = factors @ factors.swapaxes(1, 2) + 1e-7 * np.eye(dim)
  x = np.einsum('ndk,nk->nd', factors, rng.standard_normal((4, 3)))
  precision = np.where(np.arange(dim) % 5 == 0, 0.0, 3e4) * np.ones((4, 1))
  found = condition(
    *map(np.float32, (x[:, None], precision, np.zeros_like(x), covariance))
  )
  np.testing.assert_allclose(found.mean[:, 0], x, atol=0.1)
  values = np.linalg.eigvalsh(np.float64(found.covariance))
  assert values.min() > -1e-4
