"""A Gaussian, whose denoiser and probability flow are known exactly."""

import numpy as np

# In float64, for the tests that run in it.
MEAN = np.array([[0.5, -1.0]])
COVARIANCE = np.array([[1.0, 0.6], [0.6, 0.5]])
_VALUES, _VECTORS = np.linalg.eigh(COVARIANCE)


def denoise_fn(x, sigma):
  """E[x0 | x] of N(MEAN, COVARIANCE)."""
  gain = (_VECTORS * (_VALUES / (_VALUES + sigma**2))[None]) @ _VECTORS.T
  return MEAN + (x - MEAN) @ gain.T


def flow_to_zero(x, sigma):
  """Where the probability flow takes x from level sigma.

  Along an eigenvector of variance v, dx/dsigma = sigma x / (v + sigma^2), so x
  goes like sqrt(v + sigma^2).
  """
  shrink = np.sqrt(_VALUES / (_VALUES + sigma**2))
  return MEAN + (x - MEAN) @ ((_VECTORS * shrink) @ _VECTORS.T).T
