"""The denoiser that needs no training: the posterior mean over a finite set.

If x0 is one of the vectors x0_j with equal chance, then (Karras et al. 2022,
appendix B.3)

  E[x0 | x] = sum_j w_j x0_j / sum_j w_j,   log w_j = -|x - x0_j|^2 / (2
  sigma^2),

a softmax over squared distances: kernel regression on the set itself.
"""

import jax
import jax.numpy as jnp

Array = jax.Array


def posterior_mean(
  x: Array, sigma: Array, references: Array, *, allowed: Array | None = None
) -> Array:
  """Posterior mean over a small set of references, held whole in memory.

  Args:
    x: Noisy vectors [B, D].
    sigma: Noise levels [B], above 0.
    references: The set [N, D].
    allowed: Which references each sample may be, [B, N] booleans, at least one
      each; None allows all.

  Returns:
    [B, D].
  """
  # |x - x0_j|^2 but for |x|^2, which all weights of a sample share.
  distance = jnp.sum(references**2, axis=-1)[None] - 2 * x @ references.T
  log_weight = -distance / (2 * sigma[:, None] ** 2)
  if allowed is not None:
    log_weight = jnp.where(allowed, log_weight, -jnp.inf)
  return jax.nn.softmax(log_weight, axis=-1) @ references
