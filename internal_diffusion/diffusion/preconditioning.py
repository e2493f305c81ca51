"""Preconditioning of a network F as a denoiser D (Karras et al. 2022, eq. 7).

  D(x; sigma) = c_skip(sigma) x + c_out(sigma) F(c_in(sigma) x, c_noise(sigma))

The coefficients keep the inputs and targets of the network of order one.
`c_noise` is always ln(sigma) / 4, because every sigma in this library is a
unit-scale noise level.

If x0 is in the basis of its principal components, `edm_coefficients` takes the
standard deviation of *each component* as sigma_data. The skip connection is
then the exact Wiener filter of the data, c_skip = s^2 / (s^2 + sigma^2). A
single sigma_data is the choice of Karras et al.
"""

from collections.abc import Callable
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from internal_diffusion.diffusion import predictions
from internal_diffusion.diffusion.processes import NoiseProcess

Array = jax.Array

# A conversion of `predictions`: (prediction, x, alpha, sigma) -> x0.
ToX0 = Callable[[Array, Array, Array, Array], Array]


class Coefficients(NamedTuple):
  """Coefficients of a denoiser.

  Attributes:
    c_skip: Weight of the noisy sample, broadcasting with [B, D].
    c_out: Scale of the network's output, broadcasting with [B, D].
    c_in: Scale of the network's input, broadcasting with [B, D].
    c_noise: The network's noise input, [B].
  """

  c_skip: Array
  c_out: Array
  c_in: Array
  c_noise: Array


def edm_coefficients(sigma: Array, sigma_data: Array) -> Coefficients:
  """Coefficients of EDM (Karras et al. 2022, table 1) at noise levels [B].

  The standard deviation of the data may differ by component; it broadcasts with
  [B, D].

  Example:
    >>> edm = edm_coefficients(jnp.array([0.5]), jnp.array([[0.5]]))
    >>> round(float(edm.c_skip[0, 0]), 6)
    0.5
  """
  chex.assert_rank(sigma, 1)
  column = sigma[:, None]
  total = jnp.sqrt(sigma_data**2 + column**2)
  return Coefficients(
    c_skip=(sigma_data / total) ** 2,
    c_out=column * sigma_data / total,
    c_in=1 / total,
    c_noise=jnp.log(sigma) / 4,
  )


def process_coefficients(
  sigma: Array,
  process: NoiseProcess,
  to_x0: ToX0 = predictions.eps_to_x0,
) -> Coefficients:
  """Coefficients of a network in a process's own coordinate.

  The network receives alpha x and predicts the quantity that `to_x0` converts:
  eps, v, score, velocity or x0. Conversions are affine in (prediction, x), so
  their values at (0, x) and (1, 0) are c_skip and c_out. VP and VE with eps are
  the first two columns of table 1 in Karras et al. 2022.

  Args:
    sigma: Unit-scale noise levels, [B].
    process: Noise process.
    to_x0: Conversion to x0, from `predictions`.
  """
  chex.assert_rank(sigma, 1)
  time = process.time(sigma)
  alpha = process.alpha(time)
  # The process's own sigma at every noise level that it can reach.
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
  """Denoises x [B, D] with a network F, `(c_in x, c_noise) -> [B, D]`."""
  c_skip, c_out, c_in, c_noise = coefficients
  return c_skip * x + c_out * network_fn(c_in * x, c_noise)
