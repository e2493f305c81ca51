"""The mixture of Gaussians that a network's denoiser adds to.

The network of a `LearnedDenoiser` adds to a first estimate. By default that is
the Wiener filter, the exact denoiser of one Gaussian. A mixture of Gaussians
knows more: that patches are quiet or rough, flat or edged. Its posterior mean
replaces c_skip z, and the standard deviation of its posterior replaces c_out,
so the network's errors are small where the mixture is certain: in the fine
detail of quiet patches. All groups, such as pyramid levels, share the Gaussians
and have their own weights.
"""

import dataclasses

import flax.struct
import jax
import jax.numpy as jnp

from internal_diffusion.denoisers.gaussian_mixture import (
  GaussianMixtureDenoiser,
)

Array = jax.Array

# The least posterior variance and loss, relative to the Wiener filter's.
_LEAST_VARIANCE, _LEAST_LOSS = 1e-3, 0.03
_MIN_VARIANCE = 1e-7  # Of a Gaussian; far below the rounding of 8-bit values.


@flax.struct.dataclass
class MixtureBase:
  """A mixture of K Gaussians of principal coordinates, with weights by group.

  Attributes:
    log_weights: Logarithms of the weights, [G, K].
    means: [K, D].
    directions: Eigenvectors of the covariances in columns, [K, D, D].
    variances: Eigenvalues of the covariances, [K, D].
  """

  log_weights: Array
  means: Array
  directions: Array
  variances: Array

  def posterior(
    self, z: Array, sigma: Array, group: Array | None
  ) -> tuple[Array, Array]:
    """Posterior mean of the coordinates, and their variance, [B, D] each.

    The variance is the mean of that within the Gaussians.

    Args:
      z: Noisy principal coordinates, [B, D].
      sigma: Noise levels, [B].
      group: Group of each, [B]; None is the first.
    """
    num, dim, _ = self.directions.shape
    prior = self.log_weights[:1] if group is None else self.log_weights[group]
    flat = jnp.moveaxis(self.directions, 1, 0).reshape(dim, num * dim)
    offsets = jnp.einsum('kd,kdr->kr', self.means, self.directions)
    along = (z @ flat).reshape(-1, num, dim) - offsets[None]
    square = (sigma**2)[:, None, None]
    variance = self.variances[None] + square
    log_joint = prior - jnp.sum(along**2 / variance + jnp.log(variance), -1) / 2
    weights = jax.nn.softmax(log_joint, axis=-1)
    gain = weights[..., None] * (self.variances[None] / variance)
    back = jnp.swapaxes(self.directions, 1, 2).reshape(num * dim, dim)
    mean = weights @ self.means + (gain * along).reshape(len(z), -1) @ back
    return mean, (gain * square).reshape(len(z), -1) @ back**2


def make_base(
  mixture: GaussianMixtureDenoiser,
  z: Array,
  groups: Array | None,
  *,
  num_groups: int,
) -> MixtureBase:
  """The base of a mixture; weights are mean responsibilities of each group.

  Args:
    mixture: Mixture of principal coordinates, of full rank.
    z: Principal coordinates, [N, D].
    groups: Group of each, [N], or None.
    num_groups: Number of groups G.
  """
  variances = mixture.variances + _MIN_VARIANCE
  base = MixtureBase(
    mixture.log_weights[None], mixture.means, mixture.directions, variances
  )
  along = jnp.einsum('nd,kdr->nkr', z, mixture.directions)
  along -= jnp.einsum('kd,kdr->kr', mixture.means, mixture.directions)[None]
  squares = jnp.sum(along**2 / variances[None] + jnp.log(variances)[None], -1)
  found = jax.nn.softmax(mixture.log_weights[None] - squares / 2, axis=-1)
  if groups is None:
    return base
  members = jax.nn.one_hot(groups, num_groups)
  # As if every group had one more member, of all Gaussians alike.
  counts = members.T @ found + 1 / found.shape[-1]
  share = counts / jnp.sum(counts, axis=-1, keepdims=True)
  return dataclasses.replace(base, log_weights=jnp.log(share))


def output_scale(variance: Array, sigma: Array, stddev: Array) -> Array:
  """Scale of a network's output, [B, D]: the posterior's standard deviation.

  Args:
    variance: From `MixtureBase.posterior`, [B, D].
    sigma: Noise levels, [B].
    stddev: Standard deviations of the coordinates, [B, D] or [1, D].
  """
  wiener = _wiener_error(sigma, stddev)
  return jnp.sqrt(jnp.clip(variance, _LEAST_VARIANCE * wiener, wiener))


def loss_weight(variance: Array, sigma: Array, stddev: Array) -> Array:
  """Inverse of the mean squared error that the mixture expects, [B, 1].

  Quiet samples, whose error is small, count as much as rough ones. The weight
  depends on the noisy sample alone, so the minimiser stays the posterior mean.
  The arguments are those of `output_scale`.
  """
  error = jnp.mean(variance, axis=-1, keepdims=True)
  wiener = jnp.mean(_wiener_error(sigma, stddev), axis=-1, keepdims=True)
  return 1 / jnp.minimum(error + _LEAST_LOSS * wiener, wiener)


def _wiener_error(sigma: Array, stddev: Array) -> Array:
  square = sigma[:, None] ** 2
  return stddev**2 * square / (stddev**2 + square)
