"""The learned denoiser: a preconditioned network in a principal basis.

In the coordinates z of the basis, and by default,

  D(z; sigma) = c_skip z + c_out (a + b * soft_clip(z / sigma)),

where the network predicts a and b, [D] each. The skip connection is the Wiener
filter of the data's covariance. The gate b multiplies the observation, so the
network can raise that filter where a patch has contrast and lower it where the
patch is flat, without copying the observation through its layers. A mixture of
Gaussians may stand for the filter (`denoisers.mixture_base`).

The network receives the condition's vector in a principal basis of its own,
where every component has unit variance. In a joint model, where parts of x0 may
be given, the denoiser returns a given part unchanged.
"""

from collections.abc import Sequence
from typing import NamedTuple, cast

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion import arrays
from internal_diffusion.data import principal_basis
from internal_diffusion.data.distributions import Layout, Part
from internal_diffusion.data.principal_basis import PrincipalBasis
from internal_diffusion.denoisers import embeddings, mixture_base
from internal_diffusion.denoisers.mixture_base import MixtureBase
from internal_diffusion.denoisers.parametrization import Parametrization
from internal_diffusion.diffusion import preconditioning
from internal_diffusion.types import Condition, Params, static

Array = jax.Array


@flax.struct.dataclass
class LearnedDenoiser:
  """A learned denoiser of vectors.

  Attributes:
    params: Parameters of the network, the only leaves that are trained.
    basis: Principal basis of x0; its groups are the pyramid's levels.
    cond_basis: Principal basis of the condition's vector, or None.
    network: Flax module `(inputs, c_noise, cond) -> output`, with the lengths
      of `network_dims`.
    layout: Parts of x0 and of the condition.
    parametrization: What the network predicts.
    sigma_aug: Noise level of the condition where the condition has none.
    base: Mixture of Gaussians that the network adds to; None is the Wiener
      filter, or what the parametrization says.
  """

  params: Params
  basis: PrincipalBasis
  cond_basis: PrincipalBasis | None
  network: nn.Module = static()
  layout: Layout = static()
  parametrization: Parametrization = static(default=Parametrization.WIENER)
  sigma_aug: float = static(default=0.0)
  base: MixtureBase | None = None

  def __call__(
    self, x: Array, sigma: Array, cond: Condition | None = None
  ) -> Array:
    """Denoises vectors x [B, D] in the units of the data; see `Denoiser`."""
    # The basis is orthonormal, so noise and noise level are the same in both.
    z = principal_basis.to_principal(self.basis, x)
    return self.decode(self.denoise_principal(z, sigma, cond))

  def decode(self, z: Array) -> Array:
    """Vectors [B, D] of principal coordinates [B, D]."""
    return principal_basis.from_principal(self.basis, z)

  def denoise_principal(
    self, z: Array, sigma: Array, cond: Condition | None = None
  ) -> Array:
    """Denoises principal coordinates z [B, D].

    Args:
      z: Noisy principal coordinates, [B, D].
      sigma: Noise level, scalar or [B].
      cond: The condition, in the units of the data.

    Raises:
      ValueError: If the condition does not fit the layout.
    """
    sigma = jnp.broadcast_to(sigma, z.shape[:1])
    cond = Condition() if cond is None else cond
    shown = normalised_condition(self, cond)
    if not self.layout.is_joint:
      return self._predict(z, sigma, cond.level, shown)
    # A given part of x has only noise to add to the condition: it is masked.
    given = cond.given
    if given is None:
      given = jnp.ones((len(z), 1), bool)
    is_given = _given_components(given, self.layout.x0_sizes)
    masked = jnp.where(is_given, 0, z)
    denoised = self._predict(masked, sigma, cond.level, shown)
    known = principal_basis.to_principal(self.basis, cast(Array, cond.vector))
    return jnp.where(is_given, known, denoised)

  def _predict(
    self, z: Array, sigma: Array, level: Array | None, shown: Condition
  ) -> Array:
    stddev = principal_basis.group_stddev(self.basis, level)

    def network_fn(inputs: Array, c_noise: Array) -> Array:
      features = _noisy_features(z, sigma, stddev, self.layout)
      inputs = jnp.concatenate([inputs, features], axis=-1)
      output = self.network.apply(self.params, inputs, c_noise, shown)
      offset, gate = jnp.split(cast(Array, output), 2, axis=-1)
      return offset + gate * embeddings.soft_clip(z / sigma[:, None])

    if self.base is not None:
      mean, variance = self.base.posterior(z, sigma, level)
      scale = mixture_base.output_scale(variance, sigma, stddev)
      return mean + scale * network_fn(mean / stddev, jnp.log(sigma) / 4)
    coefficients = self.parametrization.coefficients(sigma, stddev)
    return preconditioning.apply_coefficients(coefficients, network_fn, z)


@flax.struct.dataclass
class PrincipalDenoiser:
  """A learned denoiser of principal coordinates, where a step is cheaper.

  Attributes:
    model: The denoiser of vectors.
  """

  model: LearnedDenoiser

  def __call__(
    self, x: Array, sigma: Array, cond: Condition | None = None
  ) -> Array:
    """Denoises principal coordinates [B, D]; see `Denoiser`."""
    return self.model.denoise_principal(x, sigma, cond)

  def decode(self, z: Array) -> Array:
    """Vectors [B, D] of principal coordinates [B, D]."""
    return self.model.decode(z)


class NetworkDims(NamedTuple):
  """Lengths of the network's input, output and condition."""

  input: int
  output: int
  vector: int


def network_dims(layout: Layout) -> NetworkDims:
  """The lengths that the network of a layout needs."""
  dim, vector_dim = sum(layout.x0_sizes), sum(layout.given_sizes)

  def features(z: Array, vector: Array) -> tuple[Array, Array]:
    noisy = _noisy_features(z, jnp.ones(1), z + 1, layout)
    return noisy, _coordinate_features(vector, vector, layout.given)

  noisy, coordinates = jax.eval_shape(
    features,
    jax.ShapeDtypeStruct((1, dim), jnp.float32),
    jax.ShapeDtypeStruct((1, vector_dim), jnp.float32),
  )
  return NetworkDims(
    input=dim + noisy.shape[-1],
    output=2 * dim,
    vector=vector_dim + coordinates.shape[-1],
  )


def _coordinate_features(
  whitened: Array, sigma: Array, parts: Sequence[Part]
) -> Array:
  """Fourier features [B, F] of the coordinates among whitened parts [B, K].

  They have unit variance, but for the noise, whose levels are `sigma` [B, K].
  """
  is_coordinate = np.repeat(
    [part.is_coordinates for part in parts], [part.size for part in parts]
  )
  (index,) = np.nonzero(is_coordinate)
  # Coordinates uniform on [-1, 1] have the standard deviation 1 / sqrt(3).
  scale = np.float32(1 / np.sqrt(3))
  return embeddings.integrated_fourier_features(
    scale * whitened[:, index], scale * sigma[:, index]
  )


def _noisy_features(
  z: Array, sigma: Array, stddev: Array, layout: Layout
) -> Array:
  """Features of the noisy x that the network receives beside c_in x."""
  level = sigma[:, None]
  relative = embeddings.noise_relative_features(
    z / level, sizes=layout.x0_sizes
  )
  coordinates = _coordinate_features(z / stddev, level / stddev, layout.x0)
  return jnp.concatenate([relative, coordinates], axis=-1)


def _given_components(given: Array, sizes: Sequence[int]) -> Array:
  """`Condition.given` [B, G] or [B, 1] for each component, [B, K]."""
  parts = jnp.broadcast_to(given, (given.shape[0], len(sizes)))
  return jnp.repeat(
    parts, np.array(sizes), axis=1, total_repeat_length=sum(sizes)
  )


def normalised_condition(model: LearnedDenoiser, cond: Condition) -> Condition:
  """The condition as the network receives it.

  Components have unit variance and are 0 where they are not given. A component
  with noise is replaced by its Wiener estimate, so that one which is nearly all
  noise has little influence, however small the data's variance is. Coordinates
  are appended as Fourier features too.

  Raises:
    ValueError: If the vector is missing or its shape is not the layout's.
  """
  layout, vector, basis = model.layout, cond.vector, model.cond_basis
  sizes = layout.given_sizes
  if basis is None and vector is None:
    return cond
  if basis is None:
    raise ValueError('`cond.vector` must be None: this model is unconditional.')
  names = ', '.join(f'{part.name} {part.size}' for part in layout.given)
  if vector is None or vector.ndim != 2 or vector.shape[1] != sum(sizes):
    raise ValueError(
      f'`cond.vector` must be [B, {sum(sizes)}], the parts {names}, got'
      f' {None if vector is None else vector.shape}.'
    )
  stddev = principal_basis.group_stddev(basis, None)
  whitened = principal_basis.to_principal(basis, vector) / stddev
  sigma = cond.sigma_aug
  sigma = jnp.float32(model.sigma_aug) if sigma is None else sigma
  noise = jnp.broadcast_to(
    arrays.match_rank(sigma, whitened) / stddev, whitened.shape
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
    # A missing component is one that noise hides completely.
    noise = jnp.where(is_given, noise, jnp.inf)
  coordinates = _coordinate_features(whitened, noise, layout.given)
  estimate = whitened / (1 + noise**2)
  return cond._replace(vector=jnp.concatenate([estimate, coordinates], axis=-1))
