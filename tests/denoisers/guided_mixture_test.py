import jax.numpy as jnp
import numpy as np

from internal_diffusion.denoisers.gaussian_mixture import (
  GaussianMixtureDenoiser,
)
from internal_diffusion.denoisers.guided_mixture import (
  GuidedMixture,
  from_gaussians,
)

NUM, DIM, COMPONENTS, NOISE = 40, 5, 3, 0.3
RNG = np.random.default_rng(0)
FACTOR = RNG.normal(size=(COMPONENTS, DIM, DIM))
MIXTURE = GuidedMixture(
  jnp.log(jnp.array([0.5, 0.3, 0.2])),
  jnp.float32(RNG.normal(size=(COMPONENTS, DIM))),
  jnp.float32(FACTOR @ np.swapaxes(FACTOR, 1, 2)),
)
X = jnp.float32(2 * RNG.normal(size=(NUM, DIM)))


def test_component_is_the_most_probable_one():
  log_joint = []
  for k in range(COMPONENTS):
    covariance = np.asarray(MIXTURE.covariances[k]) + NOISE**2 * np.eye(DIM)
    residual = np.asarray(X) - np.asarray(MIXTURE.means[k])
    squares = np.sum(residual * np.linalg.solve(covariance, residual.T).T, -1)
    log_det = np.linalg.slogdet(covariance)[1]
    log_joint.append(float(MIXTURE.log_weights[k]) - (squares + log_det) / 2)
  found = MIXTURE.assign(X, noise_std=NOISE)
  np.testing.assert_array_equal(found, np.argmax(log_joint, axis=0))
  assert len(np.unique(found)) == COMPONENTS


def test_gaussians_keep_their_covariances():
  variances, directions = np.linalg.eigh(MIXTURE.covariances)
  gaussians = GaussianMixtureDenoiser(
    MIXTURE.log_weights, MIXTURE.means, directions, variances
  )
  found = from_gaussians(gaussians)
  np.testing.assert_allclose(found.covariances, MIXTURE.covariances, atol=1e-4)
