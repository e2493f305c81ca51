"""The model of displacements between two frames: one value."""

import flax.struct
import jax

from internal_diffusion.applications.flow import block_matching
from internal_diffusion.applications.flow.block_matching import BlockMatching
from internal_diffusion.applications.flow.displacement import (
  LearnedDisplacement,
)
from internal_diffusion.applications.flow.options import FlowOptions
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
    """Denoises displacements (x, y) in pixels, [N, 2]; see `Denoiser`."""
    return self.denoiser(x, sigma, cond)

  def encode(self, source: Array, target: Array, sigma_aug: Array) -> Array:
    """The condition's vector of pairs of patches.

    Args:
      source: Patches of the first frame, [N, P*P].
      target: Patches of the warped second frame, [N, P*P].
      sigma_aug: Noise level of the patches, [N].

    Returns:
      [N, K].
    """
    return self.denoiser.encode(source, target, sigma_aug)

  def given(self, vector: Array) -> BoundDenoiseFn:
    """The denoiser `(x, sigma) -> denoised` of given vectors [N, K]."""
    return lambda x, sigma: self(x, sigma, Condition(vector=vector))


def closed_form_model(options: FlowOptions) -> FlowModel:
  """The model by block matching, which needs no training."""
  denoiser = block_matching.make_block_matching(
    block_size=options.block_size,
    reach=options.block_reach,
    steps_per_pixel=options.steps_per_pixel,
  )
  size = block_matching.patch_size_of(options.block_size, options.block_reach)
  return FlowModel(denoiser, size, denoiser.stddev, options.block_noise)
