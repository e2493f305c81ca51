"""The stochastic differential equation of a noise process.

A process with the marginals x_t = alpha(t) x0 + sigma(t) eps is the solution of

  dx = f(t) x dt + g(t) dw,
  f = d log(alpha) / dt,   g^2 = alpha^2 d(sigma^2 / alpha^2) / dt

(Song et al. 2021; Karras et al. 2022, appendix B.1). Both follow from the
marginals, so every process has them: for VP, f = -beta/2 and g^2 = beta; for
VE, f = 0 and g^2 = d(sigma^2)/dt; for sub-VP, f = -beta/2 and g^2 = beta (1 -
exp(-2 B)).
"""

import jax
import jax.numpy as jnp

from internal_diffusion.diffusion.processes import NoiseProcess

Array = jax.Array

# Where sigma is a square root, it has no derivative at time 0.
_EARLIEST = 1e-5


def drift_and_diffusion(
  process: NoiseProcess, time: Array
) -> tuple[Array, Array]:
  """The drift's rate f and the diffusion g, each of the shape of `time`.

  Example:
    >>> from internal_diffusion.diffusion.processes import vp_linear_process
    >>> f, g = drift_and_diffusion(vp_linear_process(), 0.5)
    >>> round(float(f), 3), round(float(g) ** 2, 2)
    (-5.025, 10.05)
  """
  time = jnp.maximum(
    jnp.asarray(time, jnp.float32), _EARLIEST * process.max_time
  )
  one = jnp.ones_like(time)
  alpha, d_alpha = jax.jvp(process.alpha, (time,), (one,))
  level, d_level = jax.jvp(
    lambda t: process.sigma(t) / process.alpha(t), (time,), (one,)
  )
  return d_alpha / alpha, alpha * jnp.sqrt(2 * level * d_level)
