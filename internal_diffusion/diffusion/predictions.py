"""What a network may predict, and the exact conversions to and from x0.

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
  """The noise that leads from x0 to x; sigma above 0."""
  alpha, sigma = _match(x, alpha, sigma)
  return (x - alpha * x0) / sigma


def eps_to_x0(eps: Array, x: Array, alpha: Array, sigma: Array) -> Array:
  """The clean sample that noise eps leads to x; alpha above 0."""
  alpha, sigma = _match(x, alpha, sigma)
  return (x - sigma * eps) / alpha


def x0_to_v(x0: Array, x: Array, alpha: Array, sigma: Array) -> Array:
  """V of a clean sample; sigma above 0."""
  alpha, sigma = _match(x, alpha, sigma)
  # alpha (x - alpha x0) / sigma - sigma x0
  return (alpha * x - (alpha**2 + sigma**2) * x0) / sigma


def v_to_x0(v: Array, x: Array, alpha: Array, sigma: Array) -> Array:
  """The clean sample of v, in a variance-preserving process or not."""
  alpha, sigma = _match(x, alpha, sigma)
  return (alpha * x - sigma * v) / (alpha**2 + sigma**2)


def x0_to_score(x0: Array, x: Array, alpha: Array, sigma: Array) -> Array:
  """Score of a clean estimate (Tweedie's formula); sigma above 0."""
  alpha, sigma = _match(x, alpha, sigma)
  return (alpha * x0 - x) / sigma**2


def score_to_x0(score: Array, x: Array, alpha: Array, sigma: Array) -> Array:
  """The posterior mean of a score (Tweedie's formula); alpha above 0."""
  alpha, sigma = _match(x, alpha, sigma)
  return (x + sigma**2 * score) / alpha


def x0_to_velocity(x0: Array, x: Array, alpha: Array, sigma: Array) -> Array:
  """The linear flow's velocity of a clean sample; sigma above 0."""
  return x0_to_eps(x0, x, alpha, sigma) - x0


def velocity_to_x0(
  velocity: Array, x: Array, alpha: Array, sigma: Array
) -> Array:
  """The clean sample of a velocity, for any alpha and sigma."""
  alpha, sigma = _match(x, alpha, sigma)
  return (x - sigma * velocity) / (alpha + sigma)


def x0_to_x0(x0: Array, x: Array, alpha: Array, sigma: Array) -> Array:
  """The identity, for networks that predict x0 itself."""
  del x, alpha, sigma
  return x0
