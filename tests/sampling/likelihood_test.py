"""Estimated densities against exact ones, and bits of known densities."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from internal_diffusion.denoisers.gaussian_mixture import (
  GaussianMixtureDenoiser,
)
from internal_diffusion.sampling import likelihood

SIGMAS = np.geomspace(0.05, 40, 60)


def make_mixture(dim):
  rng = np.random.default_rng(0)
  parts = (
    np.log([0.6, 0.4]),
    rng.normal(size=(2, dim)),
    np.linalg.qr(rng.normal(size=(2, dim, dim)))[0],
    rng.uniform(0.1, 1.0, size=(2, dim)),
  )
  return GaussianMixtureDenoiser(
    *(jnp.asarray(part, jnp.float32) for part in parts)
  )


@pytest.fixture(scope='module')
def found():
  """A mixture, points of it, and their exact, traced and estimated density."""
  mixture = make_mixture(5)
  x = mixture.sample(jax.random.key(0), 200)

  @jax.jit
  def run(mixture, x):
    return (
      likelihood.log_density(mixture, x, SIGMAS),
      likelihood.estimate_log_density(
        jax.random.key(1), mixture, x, SIGMAS, num_probes=6
      ),
    )

  traced, estimated = run(mixture, x)
  return mixture.log_density(x, jnp.float32(0.05)), traced, estimated


def test_density_of_a_mixture(found):
  exact, traced, _ = found
  # Within 0.02 nat for each of the five dimensions, at these few steps.
  np.testing.assert_allclose(traced, exact, atol=0.1)


def test_estimates_agree_with_the_trace_within_their_errors(found):
  _, traced, estimated = found
  score = (np.asarray(estimated.value) - traced) / estimated.std_error
  # With six probes the score has Student's t distribution of 5 degrees.
  bound = scipy.stats.t.ppf(0.95, 5)
  inside = (abs(score) < bound).mean()
  assert 0.82 < inside < 0.97, inside
  assert np.median(estimated.std_error) > 0.02


def test_uniform_values_have_all_eight_bits():
  # A density of 1/2 for each value: log2(255) bits, one grey level each.
  bits = likelihood.bits_per_dimension(np.log(0.5) * 10, dim=10)
  np.testing.assert_allclose(bits, np.log2(255), rtol=1e-6)


def test_one_probe_has_no_error():
  with pytest.raises(ValueError, match='num_probes'):
    likelihood.estimate_log_density(
      jax.random.key(0),
      lambda x, sigma: x,
      jnp.zeros((1, 2)),
      SIGMAS,
      num_probes=1,
    )
