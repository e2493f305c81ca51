"""Consistency models: one evaluation from any noise level to the clean end.

A consistency function f(x; sigma) is constant along the probability flow and
the identity at the lowest level, so it returns the end of the flow through x
(Song et al. 2023). Any denoiser D makes one with the right boundary,

  f(x; sigma) = x + (1 - sigma_min / sigma) (D(x; sigma) - x),

which for a denoiser is one Euler step to sigma_min. It is trained such that

  f(x'; sigma') = f(x; sigma),

where x' is one step of the flow from x to sigma' < sigma. The step needs a
clean estimate. Distillation takes that of a trained
denoiser; training without one takes the clean sample x0 itself, for which x' =
x0 + sigma' eps (their sec. 4 and 5). The squared norm is replaced by the
pseudo-Huber norm, with weight 1 / (sigma - sigma'), and the target is the
current network without gradient (Song & Dhariwal 2024).
"""

import dataclasses

import flax.struct
import jax
import jax.numpy as jnp

from internal_diffusion import arrays
from internal_diffusion.types import BoundDenoiseFn, Condition, Denoiser, static

Array = jax.Array


def consistency_fn(
  denoise_fn: BoundDenoiseFn, *, sigma_min: float
) -> BoundDenoiseFn:
  """The consistency function of a denoiser, the identity at `sigma_min`."""

  def function(x: Array, sigma: Array) -> Array:
    weight = arrays.match_rank(1 - sigma_min / sigma, x)
    return x + weight * (denoise_fn(x, sigma) - x)

  return function


@flax.struct.dataclass
class ConsistencyModel:
  """A denoiser as its consistency function, for `sampling.sample_consistency`.

  It has a denoiser's interface but returns samples, not posterior means.

  Attributes:
    denoiser: The trained denoiser.
    sigma_min: Lowest noise level of the training.
  """

  denoiser: Denoiser
  sigma_min: float = static()

  def __call__(
    self, x: Array, sigma: Array, cond: Condition | None = None
  ) -> Array:
    """The end of the flow through x [B, ...]."""
    function = consistency_fn(
      lambda x, sigma: self.denoiser(x, sigma, cond), sigma_min=self.sigma_min
    )
    return function(x, jnp.asarray(sigma))


@dataclasses.dataclass(frozen=True)
class LevelPairs:
  """Neighbouring noise levels of a Karras grid that becomes finer.

  The number of steps doubles a few times over the run (Song & Dhariwal 2024,
  sec. 3.4): coarse grids have less variance, fine ones less bias.

  Attributes:
    sigma_min: Lowest noise level.
    sigma_max: Highest noise level.
    first: Number of steps of the first grid.
    num_doublings: Number of doublings over the run.
    rho: Exponent of the grid.
  """

  sigma_min: float
  sigma_max: float
  first: int = 10
  num_doublings: int = 4
  rho: float = 7.0

  def __post_init__(self) -> None:
    if not 0 < self.sigma_min < self.sigma_max:
      raise ValueError(
        '0 < `sigma_min` < `sigma_max` must hold, got'
        f' {self.sigma_min} and {self.sigma_max}.'
      )
    arrays.check_positive_int('first', self.first)

  def __call__(self, uniform: Array, progress: Array) -> tuple[Array, Array]:
    """Levels sigma and sigma' < sigma, [B] each, uniform over the grid's steps.

    Args:
      uniform: Uniform samples on [0, 1), [B].
      progress: Fraction of the run that is over.
    """
    doublings = jnp.floor(progress * (self.num_doublings + 1))
    doublings = jnp.minimum(doublings, self.num_doublings)
    num_steps = self.first * 2.0**doublings
    index = jnp.minimum(jnp.floor(uniform * num_steps), num_steps - 1)
    low, high = (s ** (1 / self.rho) for s in (self.sigma_min, self.sigma_max))
    sigma_next, sigma = (
      (low + (index + offset) / num_steps * (high - low)) ** self.rho
      for offset in (0, 1)
    )
    return sigma, sigma_next


def consistency_loss(
  key: Array,
  function: BoundDenoiseFn,
  estimate_fn: BoundDenoiseFn | None,
  x0: Array,
  sigma: Array,
  sigma_next: Array,
) -> Array:
  """Pseudo-Huber distance of f at two neighbouring points of a flow.

  Args:
    key: One key, or keys [B].
    function: Consistency function f.
    estimate_fn: Trained denoiser whose flow is distilled, by Heun's method;
      None takes x0 as the clean estimate.
    x0: Clean samples, [B, D].
    sigma: Noise levels, [B].
    sigma_next: Lower noise levels, [B].

  Returns:
    Losses, [B].
  """
  x = x0 + sigma[:, None] * arrays.normal(key, x0.shape)
  step = (sigma_next - sigma)[:, None]
  estimate = x0 if estimate_fn is None else estimate_fn(x, sigma)
  slope = (x - estimate) / sigma[:, None]
  x_next = x + step * slope
  if estimate_fn is not None:
    end = (x_next - estimate_fn(x_next, sigma_next)) / sigma_next[:, None]
    x_next = x + step * (slope + end) / 2
  target = jax.lax.stop_gradient(function(x_next, sigma_next))
  squares = jnp.sum((function(x, sigma) - target) ** 2, axis=-1)
  scale = 0.00054 * jnp.sqrt(x0.shape[-1])
  # sqrt(a + c^2) - c, without the difference of two nearly equal numbers.
  distance = squares / (jnp.sqrt(squares + scale**2) + scale)
  return distance / (sigma - sigma_next)
