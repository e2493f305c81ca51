"""Diffusion bridges between samples x0 and x1, and the entropic plan.

Between fixed ends, a Brownian motion of variance sigma^2 from the end x0, which
reaches x1 at sigma_max, has the marginals

  x = x0 + r^2 (x1 - x0) + sigma sqrt(1 - r^2) eps,   r = sigma / sigma_max

(Liu et al. 2023, eq. 11, with one variance). Given x and x0, the state at a
lower level has the mean x0 + (sigma'/sigma)^2 (x - x0) and the variance
sigma'^2 (1 - (sigma'/sigma)^2) whatever x1 is: that is the ancestral step of
the unit scale. So a denoiser D(x; sigma) = E[x0 | x] of the bridge's states is
sampled by `sampling.sample_ddpm`, from x1 at sigma_max, and D(x1; sigma_max) is
the regression of x0 on x1.

If x0 and x1 are paired by the entropic optimal-transport plan,

  min_P  sum P |x0 - x1|^2 / 2 - epsilon H(P),   epsilon = sigma_max^2,

this process is the Schroedinger bridge. From any other pairing, its samples
make pairs that are closer to that plan (iterative Markovian fitting, Shi et al.
2023; Peluchetti 2023).
"""

import jax
import jax.numpy as jnp

from internal_diffusion import arrays
from internal_diffusion.diffusion import losses
from internal_diffusion.types import Condition, DenoiseFn

Array = jax.Array


def bridge_state(
  key: Array, x0: Array, x1: Array, sigma: Array, *, sigma_max: float
) -> Array:
  """Draws the bridge's states at noise levels scalar or [B], of ends [B, D]."""
  sigma = arrays.match_rank(sigma, x0)
  ratio = jnp.minimum(sigma / sigma_max, 1.0)
  noise = sigma * jnp.sqrt(1 - ratio**2) * arrays.normal(key, x0.shape)
  return x0 + ratio**2 * (x1 - x0) + noise


def bridge_loss(
  key: Array,
  denoise_fn: DenoiseFn,
  x0: Array,
  x1: Array,
  cond: Condition | None,
  sigma: Array,
  *,
  sigma_max: float,
) -> Array:
  """Squared error of the denoiser of a bridge's states (Liu et al. 2023).

  Args:
    key: One key, or keys [B].
    denoise_fn: Denoiser.
    x0: Ends at level 0, [B, D].
    x1: Ends at level `sigma_max`, [B, D].
    cond: Conditions, or None.
    sigma: Noise levels, [B], in (0, sigma_max].
    sigma_max: Highest noise level.

  Returns:
    Mean over the components, with the weight 1 / sigma^2, [B].
  """
  x = bridge_state(key, x0, x1, sigma, sigma_max=sigma_max)
  squares = (denoise_fn(x, sigma, cond) - x0) ** 2
  return jnp.mean(losses.snr_weight(sigma) * squares, axis=-1)


def entropic_plan(
  first: Array, second: Array, *, epsilon: float, num_steps: int = 500
) -> Array:
  """The entropic optimal-transport plan of two sets, uniform weights, [N, M].

  Sinkhorn's iterations on the logarithms (Cuturi 2013; Peyre & Cuturi 2019,
  sec. 4.4).

  Args:
    first: Vectors, [N, D].
    second: Vectors, [M, D].
    epsilon: Weight of the entropy, sigma_max^2 of the bridge.
    num_steps: Number of iterations.

  Raises:
    ValueError: If `epsilon` is not above 0, or the sets do not fit.

  Example:
    >>> points = jnp.array([[0.0], [1.0]])
    >>> entropic_plan(points, points, epsilon=0.01).round(2).tolist()
    [[0.5, 0.0], [0.0, 0.5]]
  """
  arrays.check_in_range('epsilon', epsilon, 0, float('inf'), open_low=True)
  shapes = first.shape, second.shape
  if [len(shape) for shape in shapes] != [2, 2] or 0 in sum(shapes, ()):
    raise ValueError(
      '`first` and `second` must be [N, D] and [M, D], not empty, got shapes'
      f' {shapes[0]} and {shapes[1]}.'
    )
  if first.shape[1] != second.shape[1]:
    raise ValueError(
      '`first` and `second` must have vectors of one dimension, got'
      f' {first.shape[1]} and {second.shape[1]}.'
    )
  apart = first[:, None] - second[None]
  log_kernel = -jnp.sum(apart**2, axis=-1) / (2 * epsilon)
  log_first = jnp.full(len(first), -jnp.log(len(first)))
  log_second = jnp.full(len(second), -jnp.log(len(second)))

  def step(_: Array, potentials: tuple[Array, Array]) -> tuple[Array, Array]:
    _, g = potentials
    f = log_first - jax.nn.logsumexp(log_kernel + g[None], axis=1)
    g = log_second - jax.nn.logsumexp(log_kernel + f[:, None], axis=0)
    return f, g

  start = (jnp.zeros(len(first)), jnp.zeros(len(second)))
  f, g = jax.lax.fori_loop(0, num_steps, step, start)
  return jnp.exp(log_kernel + f[:, None] + g[None])
