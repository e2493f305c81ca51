"""The model of displacements between two frames: one value."""

import functools

import flax.struct
import jax

from internal_diffusion.applications.flow.block_matching import BlockMatching
from internal_diffusion.applications.flow.displacement import (
  LearnedDisplacement,
)
from internal_diffusion.types import BoundDenoiseFn, Condition, static

Array = jax.Array


@flax.struct.dataclass
class FlowModel:
  """A denoiser of displacements between patches of two frames.

  Attributes:
    denoiser: The denoiser and its encoder of pairs.
    patch_size: Side P of the patches.
    stddev: Prior standard deviation of a displacement's component, in pixels.
    sensor_noise: Lowest and highest noise level of frames, in units of [-1, 1].
  """

  denoiser: LearnedDisplacement | BlockMatching
  patch_size: int = static()
  stddev: float = static()
  sensor_noise: tuple[float, float] = static()

  def __call__(
    self, x: Array, sigma: Array, cond: Condition | None = None
  ) -> Array:
    """Denoises displacements; see `Denoiser`.

    Args:
      x: Noisy displacements (x, y) in pixels, [N, 2].
      sigma: Noise level in pixels, scalar or [N].
      cond: Condition whose vector is a result of `denoiser.encode`, [N, K].

    Raises:
      ValueError: If the condition has no vector.
    """
    if cond is None or cond.vector is None:
      raise ValueError('`cond.vector` must be what `encode` returns, got None.')
    return self.denoiser.denoise(x, sigma, cond.vector)

  def given(self, vector: Array) -> BoundDenoiseFn:
    """The denoiser `(x, sigma) -> denoised` of encoded pairs, [N, K]."""
    return functools.partial(self.denoiser.denoise, vector=vector)
