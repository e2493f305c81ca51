"""The learned denoiser: a preconditioned network in a principal basis."""

from typing import NamedTuple, cast

import flax.linen as nn
import jax

from internal_diffusion.data import principal_basis
from internal_diffusion.data.principal_basis import PrincipalBasis
from internal_diffusion.diffusion import preconditioning
from internal_diffusion.types import (
  Condition,
  ParametricDenoiseFn,
  Params,
)

Array = jax.Array


class LearnedParams(NamedTuple):
  """Everything that a learned denoiser knows.

  Attributes:
    network: Parameters of the network, trained.
    basis: The principal basis, fitted once.
  """

  network: Params
  basis: PrincipalBasis


def sigma_data(basis: PrincipalBasis, cond: Condition | None) -> Array:
  """Standard deviation of each coordinate, [B, D], or [1, D] without levels."""
  if cond is None or cond.level is None:
    return basis.stddev[:1]
  return basis.stddev[cond.level]


def make_principal_denoise_fn(network: nn.Module) -> ParametricDenoiseFn:
  """The denoiser of principal coordinates z [B, D] that a network makes.

  Returns:
    `denoise_fn(params, z, sigma, cond) -> denoised`, where params are
    `LearnedParams`, z is [B, D] and sigma is a scalar or [B].
  """

  def denoise_fn(
    params: LearnedParams, z: Array, sigma: Array, cond: Condition | None
  ) -> Array:
    sigma = jax.numpy.broadcast_to(sigma, z.shape[:1])
    coefficients = preconditioning.edm_coefficients(
      sigma, sigma_data(params.basis, cond)
    )

    def network_fn(inputs: Array, c_noise: Array) -> Array:
      output = network.apply(params.network, inputs, c_noise, cond)
      return cast(Array, output)

    return preconditioning.apply_coefficients(coefficients, network_fn, z)

  return denoise_fn


def make_learned_denoise_fn(network: nn.Module) -> ParametricDenoiseFn:
  """The denoiser of the vectors themselves, x [B, D] of pixel values.

  The basis is orthonormal, so noise level and noise are the same in both.
  """
  principal_denoise_fn = make_principal_denoise_fn(network)

  def denoise_fn(
    params: LearnedParams, x: Array, sigma: Array, cond: Condition | None
  ) -> Array:
    z = principal_basis.to_principal(params.basis, x)
    denoised = principal_denoise_fn(params, z, sigma, cond)
    return principal_basis.from_principal(params.basis, denoised)

  return denoise_fn


def decode(params: LearnedParams, z: Array) -> Array:
  """Principal coordinates [..., D] to vectors [..., D]."""
  return principal_basis.from_principal(params.basis, z)
