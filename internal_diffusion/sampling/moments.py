"""Mean and covariance of a denoiser's prior, without sampling.

At a noise level far above the standard deviation of x0, x carries no
information about x0, so the denoiser is the mean of the prior. Its derivative
is the covariance, since at any noise level

  Cov[x0 | x] = sigma^2 dD(x; sigma) / dx

(Efron 2011, Tweedie's formula and selection bias, sec. 2; Meng et al. 2021,
eq. 8).
"""

import jax
import jax.numpy as jnp

from internal_diffusion.types import BoundDenoiseFn

Array = jax.Array


def mean_and_covariance(
  denoise_fn: BoundDenoiseFn, *, num: int, dim: int, sigma_max: float
) -> tuple[Array, Array]:
  """Moments from one evaluation of the denoiser and its derivatives at x = 0.

  Args:
    denoise_fn: `(x [N, D], sigma) -> denoised`; each row depends on its own x.
    num: Number of rows N.
    dim: Dimension D; small, since there is one derivative for each component.
    sigma_max: Noise level. The relative error of the mean is about
      (std of x0 / sigma_max)^2.

  Returns:
    Means [N, D] and covariances [N, D, D].
  """
  x, sigma = jnp.zeros((num, dim)), jnp.float32(sigma_max)
  mean, derivative_fn = jax.linearize(lambda x: denoise_fn(x, sigma), x)
  # Not batched: compiled batches of a softmax's derivatives along constant
  # directions are wrong (jax 0.10.2 on CPU).
  derivatives = [
    derivative_fn(jnp.broadcast_to(axis, (num, dim))) for axis in jnp.eye(dim)
  ]
  covariance = sigma_max**2 * jnp.stack(derivatives, axis=-1)
  return mean, (covariance + covariance.mT) / 2
