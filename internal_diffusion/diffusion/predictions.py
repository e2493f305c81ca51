"""Prediction targets of a network, and their exact conversions to and from x0.

With x = alpha x0 + sigma eps in the process's own coordinate:

  eps       the noise                          (Ho et al. 2020)
  v         alpha eps - sigma x0               (Salimans & Ho 2022)
  score     grad log p(x) = -eps / sigma       (Song et al. 2021)
  velocity  eps - x0                           (Lipman et al. 2023)

All are affine in x and x0, so each conversion has an inverse. `alpha` and
`sigma` are scalars or [B]; x is [B, ...].
"""

import jax

from internal_diffusion import arrays

Array = jax.Array


def _match(x: Array, alpha: Array, sigma: Array) -> tuple[Array, Array]:
  return arrays.match_rank(alpha, x), arrays.match_rank(sigma, x)


def x0_to_eps(x0: Array, x: Array, alpha: Array, sigma: Array) -> Array:
  """Noise eps of clean samples; sigma above 0."""
  alpha, sigma = _match(x, alpha, sigma)
  return (x - alpha * x0) / sigma


def eps_to_x0(eps: Array, x: Array, alpha: Array, sigma: Array) -> Array:
  """Clean samples from noise eps; alpha above 0."""
  alpha, sigma = _match(x, alpha, sigma)
  return (x - sigma * eps) / alpha


def x0_to_v(x0: Array, x: Array, alpha: Array, sigma: Array) -> Array:
  """Prediction v of clean samples; sigma above 0."""
  alpha, sigma = _match(x, alpha, sigma)
  # alpha (x - alpha x0) / sigma - sigma x0
  return (alpha * x - (alpha**2 + sigma**2) * x0) / sigma


def v_to_x0(v: Array, x: Array, alpha: Array, sigma: Array) -> Array:
  """Clean samples from v, for any alpha and sigma."""
  alpha, sigma = _match(x, alpha, sigma)
  return (alpha * x - sigma * v) / (alpha**2 + sigma**2)


def x0_to_score(x0: Array, x: Array, alpha: Array, sigma: Array) -> Array:
  """Score of clean estimates (Tweedie's formula); sigma above 0."""
  alpha, sigma = _match(x, alpha, sigma)
  return (alpha * x0 - x) / sigma**2


def score_to_x0(score: Array, x: Array, alpha: Array, sigma: Array) -> Array:
  """Posterior mean from the score (Tweedie's formula); alpha above 0."""
  alpha, sigma = _match(x, alpha, sigma)
  return (x + sigma**2 * score) / alpha


def x0_to_velocity(x0: Array, x: Array, alpha: Array, sigma: Array) -> Array:
  """Velocity of clean samples in the linear flow; sigma above 0."""
  return x0_to_eps(x0, x, alpha, sigma) - x0


def velocity_to_x0(
  velocity: Array, x: Array, alpha: Array, sigma: Array
) -> Array:
  """Clean samples from the velocity, for any alpha and sigma."""
  alpha, sigma = _match(x, alpha, sigma)
  return (x - sigma * velocity) / (alpha + sigma)


def x0_to_x0(x0: Array, x: Array, alpha: Array, sigma: Array) -> Array:
  """Identity, for networks that predict x0."""
  del x, alpha, sigma
  return x0
