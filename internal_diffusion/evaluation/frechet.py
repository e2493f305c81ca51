"""Frechet distance of two sets of features.

The squared Wasserstein distance of the Gaussians with the sets' means and
covariances (Dowson & Landau 1982; Heusel et al. 2017),

  |m - m'|^2 + tr(S + S' - 2 (S S')^(1/2)).

In the features of a classifier it is FID's analogue; there is no pretrained
network here.
"""

import numpy as np
import scipy.linalg
from jax.typing import ArrayLike

from internal_diffusion.evaluation import distances


def frechet_distance(x: ArrayLike, y: ArrayLike) -> float:
  """Frechet distance of features [N, F] and [M, F].

  The estimate from few features is too large, about by F^2 / N, for equal
  distributions too: compare it with that of real against real.

  Raises:
    ValueError: If the sets are invalid or their features differ in number.

  Example:
    >>> x = np.random.default_rng(0).normal(size=(100, 3))
    >>> round(frechet_distance(x, x + 1.0), 6)
    3.0
  """
  first, second = distances.as_vectors(x=x, y=y)
  means = [values.mean(axis=0) for values in (first, second)]
  covariances = [np.atleast_2d(np.cov(values.T)) for values in (first, second)]
  # The roots of the eigenvalues of S S', which are real and not negative.
  eigenvalues = scipy.linalg.eigvals(covariances[0] @ covariances[1])
  root = np.sqrt(np.maximum(eigenvalues.real, 0)).sum()
  traces = sum(np.trace(covariance) for covariance in covariances)
  return float(np.sum((means[0] - means[1]) ** 2) + traces - 2 * root)
