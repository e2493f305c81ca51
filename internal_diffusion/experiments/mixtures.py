"""Mixtures of Gaussians as known distributions, and how well draws fit them."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion.denoisers.gaussian_mixture import (
  GaussianMixtureDenoiser,
)
from internal_diffusion.experiments.frequencies import (
  nearest_frequencies,
  total_variation,
)


class Fit(NamedTuple):
  """Errors of draws from a mixture.

  Attributes:
    moments: Relative error of the moments: the larger of the mean's error over
      the root of the trace of the covariance and the covariance's, both in the
      Euclidean norm.
    weights: Total variation between the weights of the components and the
      frequencies of the draws that are nearest to the mean of each.
  """

  moments: float
  weights: float


def three_modes() -> GaussianMixtureDenoiser:
  """Three round components in the plane with weights 0.5, 0.3 and 0.2."""
  return round_mixture(
    weights=np.array([0.5, 0.3, 0.2]),
    means=np.array([[-1.0, -0.6], [1.0, -0.6], [0.0, 1.2]]),
    std=0.25,
  )


def round_mixture(
  *, weights: np.ndarray, means: np.ndarray, std: float
) -> GaussianMixtureDenoiser:
  """Mixture of Gaussians of covariance std^2 I, weights [K], means [K, D]."""
  num, dim = means.shape
  parts = (
    np.log(weights),
    means,
    np.tile(np.eye(dim), (num, 1, 1)),
    np.full((num, dim), std**2),
  )
  return GaussianMixtureDenoiser(
    *(jnp.asarray(part, jnp.float32) for part in parts)
  )


def moments(mixture: GaussianMixtureDenoiser) -> tuple[np.ndarray, np.ndarray]:
  """Mean [D] and covariance [D, D] of a mixture."""
  weights = np.exp(np.asarray(mixture.log_weights, np.float64))
  means, directions, variances = (
    np.asarray(part, np.float64)
    for part in (mixture.means, mixture.directions, mixture.variances)
  )
  mean = weights @ means
  inside = np.einsum(
    'k,kdr,kr,ker->de', weights, directions, variances, directions
  )
  offset = means - mean
  return mean, inside + np.einsum('k,kd,ke->de', weights, offset, offset)


def fit_of(mixture: GaussianMixtureDenoiser, draws: np.ndarray) -> Fit:
  """How well draws [N, D] fit a mixture of components far from each other."""
  mean, covariance = moments(mixture)
  mean_error = np.linalg.norm(draws.mean(axis=0) - mean)
  found = np.cov(draws.T, ddof=0).reshape(covariance.shape)
  error = np.linalg.norm(found - covariance) / np.linalg.norm(covariance)
  frequencies = nearest_frequencies(draws, np.asarray(mixture.means))
  return Fit(
    moments=float(max(mean_error / np.sqrt(np.trace(covariance)), error)),
    weights=total_variation(
      frequencies, np.exp(np.asarray(mixture.log_weights))
    ),
  )


def draw(
  key: jax.Array, mixture: GaussianMixtureDenoiser, num: int
) -> np.ndarray:
  """Exact draws, [num, D]."""
  return np.asarray(mixture.sample(key, num))
