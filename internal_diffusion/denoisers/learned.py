"""The learned denoiser: a preconditioned network in a principal basis.

In the coordinates z of the basis, and by default,

  D(z; sigma) = c_skip z + c_out (a + b * soft_clip(z / sigma)),

where the network gives a and b [D] each. The skip connection is the Wiener
filter of the data's covariance. The gate b multiplies the observation, so the
network can turn that filter up where a patch has contrast and down where it is
flat, instead of having to copy the observation through its layers.

A condition's vector is shown to the network in a principal basis of its own,
every component of unit variance. In a joint model, where x0's own parts may be
given, the denoiser returns a given part as it is given.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion import arrays
from internal_diffusion.data import principal_basis
from internal_diffusion.data.distributions import Layout, Part
from internal_diffusion.data.principal_basis import PrincipalBasis
from internal_diffusion.denoisers import embeddings
from internal_diffusion.diffusion import preconditioning
from internal_diffusion.diffusion.processes import NoiseProcess
from internal_diffusion.types import Condition, ParametricDenoiseFn, Params

Array = jax.Array


# `coefficients_fn(sigma [B], stddev [B, D] or [1, D]) -> Coefficients`.
CoefficientsFn = Callable[[Array, Array], preconditioning.Coefficients]


class LearnedParams(NamedTuple):
  """Everything that a learned denoiser knows.

  Attributes:
    network: Parameters of the network, trained.
    basis: The principal basis of x0, fitted once; its groups are the pyramid's
      levels.
    cond_basis: That of the condition's vector, or None.
  """

  network: Params
  basis: PrincipalBasis
  cond_basis: PrincipalBasis | None = None


class NetworkDims(NamedTuple):
  """Lengths of the network's input, output and condition."""

  input: int
  output: int
  vector: int


def network_dims(layout: Layout) -> NetworkDims:
  """The lengths that a network of a layout needs."""
  dim, vector_dim = sum(layout.x0_sizes), sum(layout.given_sizes)
  z, vector = jnp.zeros((1, dim)), jnp.zeros((1, vector_dim))
  return NetworkDims(
    input=dim + _noisy_features(z, jnp.ones(1), z + 1, layout).shape[-1],
    output=2 * dim,
    vector=vector_dim
    + _coordinate_features(vector, vector, layout.given).shape[-1],
  )


def _coordinate_features(
  whitened: Array, level: Array, parts: Sequence[Part]
) -> Array:
  """Fourier features [B, F] of the coordinates among whitened parts.

  Args:
    whitened: Parts of unit variance, but for their noise, [B, K].
    level: Noise level of each component, [B, K].
    parts: What they are.
  """
  is_coordinate = np.repeat(
    [part.is_coordinates for part in parts], [part.size for part in parts]
  )
  (index,) = np.nonzero(is_coordinate)
  # Coordinates uniform on [-1, 1] have the standard deviation 1 / sqrt(3).
  scale = np.float32(1 / np.sqrt(3))
  return embeddings.integrated_fourier_features(
    scale * whitened[:, index], scale * level[:, index]
  )


def _noisy_features(
  z: Array, sigma: Array, stddev: Array, layout: Layout
) -> Array:
  """What the network is shown of the noisy x, beside c_in x."""
  level = sigma[:, None]
  relative = embeddings.noise_relative_features(
    z / level, sizes=layout.x0_sizes
  )
  coordinates = _coordinate_features(z / stddev, level / stddev, layout.x0)
  return jnp.concatenate([relative, coordinates], axis=-1)


def wiener_coefficients(
  sigma: Array, stddev: Array
) -> preconditioning.Coefficients:
  """Karras et al.'s, with a sigma_data for each component: a Wiener filter."""
  return preconditioning.edm_coefficients(sigma, stddev)


def edm_coefficients(
  sigma: Array, stddev: Array
) -> preconditioning.Coefficients:
  """Karras et al.'s own, with one sigma_data for all components."""
  sigma_data = jnp.sqrt(jnp.mean(stddev**2, axis=-1, keepdims=True))
  return preconditioning.edm_coefficients(sigma, sigma_data)


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


def _given_components(given: Array, sizes: Sequence[int]) -> Array:
  """`Condition.given` [B, G] or [B, 1] for each component, [B, K]."""
  parts = jnp.broadcast_to(given, (given.shape[0], len(sizes)))
  return jnp.repeat(
    parts, np.array(sizes), axis=1, total_repeat_length=sum(sizes)
  )


def normalised_condition(
  params: LearnedParams,
  cond: Condition,
  layout: Layout,
  *,
  sigma_aug: float = 0.0,
) -> Condition:
  """The condition as a network sees it: of unit variance, 0 if not given.

  A component with noise on it is shown as its Wiener estimate, so that one
  which is nearly all noise says little, however small the data's variance is.
  Coordinates are shown as Fourier features too.

  Args:
    params: With the basis of the condition.
    cond: In the units of its data.
    layout: Its parts.
    sigma_aug: Noise level that the vector carries, where it does not tell.

  Raises:
    ValueError: If the vector is missing or its shape is not the layout's.
  """
  sizes = layout.given_sizes
  vector = cond.vector
  if params.cond_basis is None and vector is None:
    return cond
  if params.cond_basis is None:
    raise ValueError('`cond.vector` must be None: this model is given none.')
  names = ', '.join(f'{part.name} {part.size}' for part in layout.given)
  if vector is None or vector.ndim != 2 or vector.shape[1] != sum(sizes):
    raise ValueError(
      f'`cond.vector` must be [B, {sum(sizes)}], the parts {names}, got'
      f' {None if vector is None else vector.shape}.'
    )
  whitened = principal_basis.to_principal(params.cond_basis, vector)
  stddev = principal_basis.group_stddev(params.cond_basis, None)
  whitened = whitened / stddev
  told = jnp.float32(sigma_aug) if cond.sigma_aug is None else cond.sigma_aug
  noise = jnp.broadcast_to(
    arrays.match_rank(told, whitened) / stddev, whitened.shape
  )
  if cond.given is not None:
    batch = len(vector)
    if cond.given.shape not in ((batch, 1), (batch, len(sizes))):
      raise ValueError(
        f'`cond.given` must be [{batch}, 1] or [{batch}, {len(sizes)}], the'
        f' parts {names}, got {cond.given.shape}.'
      )
    is_given = _given_components(cond.given, sizes)
    whitened = jnp.where(is_given, whitened, 0)
    # What is not given is as if noise hid it.
    noise = jnp.where(is_given, noise, jnp.inf)
  coordinates = _coordinate_features(whitened, noise, layout.given)
  estimate = whitened / (1 + noise**2)
  return cond._replace(vector=jnp.concatenate([estimate, coordinates], axis=-1))


def _keep_given(
  denoise_fn: ParametricDenoiseFn, layout: Layout
) -> ParametricDenoiseFn:
  """A joint denoiser that returns the given parts of x0 as they are given.

  Of them, x has only noise to say that the condition has not said better; it is
  put out of the network's sight.
  """

  def keeping_fn(
    params: LearnedParams, z: Array, sigma: Array, cond: Condition | None
  ) -> Array:
    if cond is None or cond.vector is None:
      return denoise_fn(params, z, sigma, cond)  # Says what is missing.
    given = cond.given
    if given is None:
      given = jnp.ones((len(z), 1), bool)
    is_given = _given_components(given, layout.x0_sizes)
    denoised = denoise_fn(params, jnp.where(is_given, 0, z), sigma, cond)
    known = principal_basis.to_principal(params.basis, cond.vector)
    return jnp.where(is_given, known, denoised)

  return keeping_fn


def make_principal_denoise_fn(
  network: nn.Module,
  layout: Layout,
  *,
  coefficients_fn: CoefficientsFn = wiener_coefficients,
  sigma_aug: float = 0.0,
) -> ParametricDenoiseFn:
  """The denoiser of principal coordinates z [B, D] that a network makes.

  Args:
    network: `apply(params, inputs, c_noise, cond)`, of the lengths that
      `network_dims` says.
    layout: The parts of x0 and of the condition.
    coefficients_fn: Preconditioning, from sigma [B] and the standard deviations
      of the components, [B, D].
    sigma_aug: Noise level of the conditions, where they do not tell theirs.

  Returns:
    `denoise_fn(params, z, sigma, cond) -> denoised`, where params are
    `LearnedParams`, z is [B, D] and sigma is a scalar or [B]. The condition is
    in the units of its data.
  """

  def denoise_fn(
    params: LearnedParams, z: Array, sigma: Array, cond: Condition | None
  ) -> Array:
    sigma = jnp.broadcast_to(sigma, z.shape[:1])
    y = z / sigma[:, None]
    cond = Condition() if cond is None else cond
    shown = normalised_condition(params, cond, layout, sigma_aug=sigma_aug)
    stddev = principal_basis.group_stddev(params.basis, cond.level)

    def network_fn(inputs: Array, c_noise: Array) -> Array:
      features = _noisy_features(z, sigma, stddev, layout)
      inputs = jnp.concatenate([inputs, features], axis=-1)
      output = network.apply(params.network, inputs, c_noise, shown)
      offset, gate = jnp.split(cast(Array, output), 2, axis=-1)
      return offset + gate * embeddings.soft_clip(y)

    coefficients = coefficients_fn(sigma, stddev)
    return preconditioning.apply_coefficients(coefficients, network_fn, z)

  return _keep_given(denoise_fn, layout) if layout.is_joint else denoise_fn


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
