"""The learned denoiser: a preconditioned network in a principal basis.

In the coordinates z of the basis, and by default,

  D(z; sigma) = c_skip z + c_out (a + b * soft_clip(z / sigma)),

where the network gives a and b [D] each. The skip connection is the Wiener
filter of the data's covariance. The gate b multiplies the observation, so the
network can turn that filter up where a patch has contrast and down where it is
flat, instead of having to copy the observation through its layers.
"""

from collections.abc import Callable
from typing import NamedTuple, cast

import flax.linen as nn
import jax
import jax.numpy as jnp

from internal_diffusion.data import principal_basis
from internal_diffusion.data.principal_basis import PrincipalBasis
from internal_diffusion.denoisers import embeddings
from internal_diffusion.diffusion import preconditioning
from internal_diffusion.diffusion.processes import NoiseProcess
from internal_diffusion.types import Condition, ParametricDenoiseFn, Params

Array = jax.Array


# `coefficients_fn(sigma [B], stddev [D]) -> Coefficients`.
CoefficientsFn = Callable[[Array, Array], preconditioning.Coefficients]


class LearnedParams(NamedTuple):
  """Everything that a learned denoiser knows.

  Attributes:
    network: Parameters of the network, trained.
    basis: The principal basis, fitted once.
  """

  network: Params
  basis: PrincipalBasis


def network_dims(patch_dim: int) -> tuple[int, int]:
  """Length of the network's input and output for vectors of a length."""
  features = embeddings.noise_relative_features(jnp.zeros((1, patch_dim)))
  return patch_dim + features.shape[-1], 2 * patch_dim


def wiener_coefficients(
  sigma: Array, stddev: Array
) -> preconditioning.Coefficients:
  """Karras et al.'s, with a sigma_data for each component: a Wiener filter."""
  return preconditioning.edm_coefficients(sigma, stddev[None])


def edm_coefficients(
  sigma: Array, stddev: Array
) -> preconditioning.Coefficients:
  """Karras et al.'s own, with one sigma_data for all components."""
  sigma_data = jnp.sqrt(jnp.mean(stddev**2))
  return preconditioning.edm_coefficients(sigma, sigma_data[None, None])


def process_coefficients_fn(
  process: NoiseProcess, to_x0: preconditioning.ToX0
) -> CoefficientsFn:
  """The coefficients of a network that predicts in a process's coordinate."""

  def coefficients_fn(
    sigma: Array, stddev: Array
  ) -> preconditioning.Coefficients:
    del stddev
    return preconditioning.process_coefficients(sigma, process, to_x0)

  return coefficients_fn


def make_principal_denoise_fn(
  network: nn.Module, *, coefficients_fn: CoefficientsFn = wiener_coefficients
) -> ParametricDenoiseFn:
  """The denoiser of principal coordinates z [B, D] that a network makes.

  Args:
    network: `apply(params, inputs, c_noise, cond)`, of the lengths that
      `network_dims` says.
    coefficients_fn: Preconditioning, from sigma [B] and the standard deviations
      [D] of the components.

  Returns:
    `denoise_fn(params, z, sigma, cond) -> denoised`, where params are
    `LearnedParams`, z is [B, D] and sigma is a scalar or [B].
  """

  def denoise_fn(
    params: LearnedParams, z: Array, sigma: Array, cond: Condition | None
  ) -> Array:
    sigma = jnp.broadcast_to(sigma, z.shape[:1])
    y = z / sigma[:, None]

    def network_fn(inputs: Array, c_noise: Array) -> Array:
      features = embeddings.noise_relative_features(y)
      inputs = jnp.concatenate([inputs, features], axis=-1)
      output = network.apply(params.network, inputs, c_noise, cond)
      offset, gate = jnp.split(cast(Array, output), 2, axis=-1)
      return offset + gate * embeddings.soft_clip(y)

    coefficients = coefficients_fn(sigma, params.basis.stddev)
    return preconditioning.apply_coefficients(coefficients, network_fn, z)

  return denoise_fn


def to_pixel_space(
  principal_denoise_fn: ParametricDenoiseFn,
) -> ParametricDenoiseFn:
  """The same denoiser for the vectors themselves, x [B, D] of pixel values.

  The basis is orthonormal, so noise level and noise are the same in both.
  """

  def denoise_fn(
    params: LearnedParams, x: Array, sigma: Array, cond: Condition | None
  ) -> Array:
    z = principal_basis.to_principal(params.basis, x)
    denoised = principal_denoise_fn(params, z, sigma, cond)
    return principal_basis.from_principal(params.basis, denoised)

  return denoise_fn


def decode(params: LearnedParams, z: Array) -> Array:
  """Principal coordinates [B, D] to vectors [B, D]."""
  return principal_basis.from_principal(params.basis, z)
