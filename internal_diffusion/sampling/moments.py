"""Mean and covariance of what a denoiser describes, without sampling.

At a noise level far above the spread of x0, x says nothing about x0, so the
denoiser is the mean; and its derivative is the covariance, as

  Cov[x0 | x] = sigma^2 dD(x; sigma) / dx

at any noise level (Efron 2011, Tweedie's formula and selection bias, sec. 2;
Meng et al. 2021, eq. 8).
"""

import jax
import jax.numpy as jnp

from internal_diffusion.types import BoundDenoiseFn

Array = jax.Array


def mean_and_covariance(
  denoise_fn: BoundDenoiseFn, *, num: int, dim: int, sigma_max: float
) -> tuple[Array, Array]:
  """One evaluation of the denoiser and its derivatives at x = 0.

  Args:
    denoise_fn: `(x [N, D], sigma) -> denoised`, each from its own x only.
    num: N.
    dim: D, a few: there is a derivative for each.
    sigma_max: The noise level. What x = 0 still says is about (spread of x0 /
      sigma_max)^2 of the mean.

  Returns:
    Means [N, D] and covariances [N, D, D].
  """
  x, sigma = jnp.zeros((num, dim)), jnp.float32(sigma_max)
  mean, derivative_fn = jax.linearize(lambda x: denoise_fn(x, sigma), x)
  # One by one: of a softmax, batched derivatives along constant directions are
  # wrong once compiled (jax 0.10.2 on CPU).
  derivatives = [
    derivative_fn(jnp.broadcast_to(axis, (num, dim))) for axis in jnp.eye(dim)
  ]
  covariance = sigma_max**2 * jnp.stack(derivatives, axis=-1)
  return mean, (covariance + covariance.mT) / 2
