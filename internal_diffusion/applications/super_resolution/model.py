"""The model of super-resolution: a conditional distribution of blocks.

The residual of antialiased bicubic upscaling is, block by block, the sum of
three parts: a linear prediction from the source patch, a regression, and a
residual that the source does not determine. The first two are the conditional
mean. The last is small on flat ground and large at edges, so a second
regression predicts its scale for each pixel, and a conditional diffusion model
draws it in units of that scale. With x = mean + scale * noise, the denoiser of
a block is

  D(x; sigma) = mean + scale * D_residual((x - mean) / scale; sigma),

which is the mean where the noise is large. The regressions and the denoiser are
networks, or kernel regression over the training pairs themselves.
"""

import flax.struct
import jax
import numpy as np

from internal_diffusion.applications.super_resolution import networks, pairs
from internal_diffusion.data.downscaling import Downscaling, make_downscaling
from internal_diffusion.denoisers.kernel_regression import KernelRegression
from internal_diffusion.denoisers.learned import LearnedDenoiser
from internal_diffusion.types import Condition, static

Array = jax.Array


@flax.struct.dataclass
class LearnedBlocks:
  """Networks for normalised blocks, with the interface of `KernelRegression`.

  Attributes:
    mean: Mean block given features.
    scale: Scale of each pixel's residual given features; None without samples.
    residual: Denoiser of residuals in units of the scale, or None; the
      condition's vector holds the features.
  """

  mean: networks.Regression
  scale: networks.Regression | None = None
  residual: LearnedDenoiser | None = None

  def __call__(
    self, x: Array, sigma: Array, cond: Condition | None = None
  ) -> Array:
    """Denoises residuals x [B, T*T] in units of the scale; see `Denoiser`."""
    assert self.residual is not None  # `upscale` checks it.
    return self.residual(x, sigma, cond)


@flax.struct.dataclass
class Upscaler:
  """A model that enlarges planes by a whole factor.

  Attributes:
    blocks: Conditional distribution of a normalised block.
    encoding: Linear prediction, and features of a source.
    kernel: Blur of the degradation, [k, k]; None is antialiased bicubic.
    factor: Factor of one enlargement.
    source_size: Side S of a source patch, in low pixels.
    reach: Number of low pixels on each side of its centre that a block covers.
  """

  blocks: LearnedBlocks | KernelRegression
  encoding: pairs.SourceEncoding
  kernel: np.ndarray | None
  factor: int = static()
  source_size: int = static()
  reach: int = static()

  @property
  def is_mean_only(self) -> bool:
    """Whether the model has no distribution of residuals to sample from."""
    blocks = self.blocks
    return isinstance(blocks, LearnedBlocks) and blocks.residual is None

  def downscaling(self, low_size: tuple[int, ...]) -> Downscaling:
    """The degradation from the enlarged plane to a low one of this size."""
    height, width = low_size
    high_size = self.factor * height, self.factor * width
    return make_downscaling((height, width), high_size, kernel=self.kernel)
