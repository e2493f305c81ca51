"""From a raw network F to a unit-scale denoiser D (Karras et al. 2022, eq. 7).

  D(x; sigma) = c_skip(sigma) x + c_out(sigma) F(c_in(sigma) x, c_noise(sigma))

The coefficients keep what the network sees and what it must say of order one.
`c_noise` is ln(sigma) / 4 throughout, because every sigma of the house is the
unit-scale noise level.

Where x0 is given in the basis of its principal components, `edm_coefficients`
takes the standard deviation of *each component* as sigma_data. The skip
connection is then the exact Wiener filter of the data, c_skip = s^2 /
(s^2 + sigma^2), and every input and every target of the network has unit
variance in every component. With one number for sigma_data it is Karras et
al.'s own choice.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from internal_diffusion.diffusion import predictions
from internal_diffusion.diffusion.processes import NoiseProcess

Array = jax.Array

# A conversion of `predictions`: (prediction, x, alpha, sigma) -> x0.
ToX0 = Callable[[Array, Array, Array, Array], Array]


class Coefficients(NamedTuple):
  """The four; c_noise is shaped as sigma, the others broadcast with x."""

  c_skip: Array
  c_out: Array
  c_in: Array
  c_noise: Array


def edm_coefficients(sigma: Array, sigma_data: Array) -> Coefficients:
  """Karras et al. 2022, table 1, EDM; sigma_data may differ by component.

  Args:
    sigma: Noise levels [B].
    sigma_data: Standard deviation of the data, broadcasting with [B, D].

  Returns:
    Coefficients [B, D] or [B, 1], and c_noise [B].
  """
  level = sigma[:, None]
  total = jnp.sqrt(sigma_data**2 + level**2)
  return Coefficients(
    c_skip=(sigma_data / total) ** 2,
    c_out=level * sigma_data / total,
    c_in=1 / total,
    c_noise=jnp.log(sigma) / 4,
  )


def process_coefficients(
  sigma: Array,
  process: NoiseProcess,
  to_x0: ToX0 = predictions.eps_to_x0,
) -> Coefficients:
  """Coefficients of a network that works in a process's own coordinate.

  The network sees alpha x and predicts eps, v, score or x0 there; `to_x0` says
  which. Conversions are affine in (prediction, x), so evaluating one at (0, x)
  and (1, 0) yields c_skip and c_out. VP and VE with eps give the first two
  columns of Karras et al.'s table 1.

  Args:
    sigma: Unit-scale noise levels [B].
    process: The process.
    to_x0: One of the conversions to x0 of `predictions`.

  Returns:
    Coefficients [B, 1], and c_noise [B].
  """
  time = process.time(sigma)
  alpha = process.alpha(time)
  # sigma * alpha is the process's own sigma, at every level it can reach.
  own_sigma = sigma * alpha
  zero, one = jnp.zeros_like(sigma), jnp.ones_like(sigma)
  return Coefficients(
    c_skip=to_x0(zero, alpha, alpha, own_sigma)[:, None],
    c_out=to_x0(one, zero, alpha, own_sigma)[:, None],
    c_in=alpha[:, None],
    c_noise=jnp.log(sigma) / 4,
  )


def apply_coefficients(
  coefficients: Coefficients,
  network_fn: Callable[[Array, Array], Array],
  x: Array,
) -> Array:
  """The denoiser D(x; sigma) of the module's first equation, for x [B, D]."""
  c_skip, c_out, c_in, c_noise = coefficients
  return c_skip * x + c_out * network_fn(c_in * x, c_noise)
