"""The model of super-resolution: a conditional distribution of blocks.

The residual of antialiased bicubic upscaling is, block by block, the sum of
three parts: a linear prediction from the source patch, a regression, and a
residual that the source does not determine. The first two are the conditional
mean; the blocks of all sources average to a mean plane.

What the mean plane misses is drawn as a plane too. Where it lies can be read
off the mean: it is small on flat ground and large at edges. So given the mean's
pixels around a block, a second regression predicts the scale of each pixel's
residual. In units of that scale, blocks of the residual are a mixture of
Gaussians: each has its own direction and strength, as edges and texture have.
With x = mean + scale * residual, the denoiser is

  D(x; sigma) = mean + scale * D_residual((x - mean) / scale; sigma),

which is the mean where the noise is large. The regressions are networks, or
with the denoiser kernel regression over the training pairs themselves.
"""

import flax.struct
import jax
import numpy as np

from internal_diffusion.applications.super_resolution import networks, pairs
from internal_diffusion.data.downscaling import Downscaling, make_downscaling
from internal_diffusion.denoisers.gaussian_mixture import (
  GaussianMixtureDenoiser,
)
from internal_diffusion.denoisers.kernel_regression import KernelRegression
from internal_diffusion.types import Condition, static

Array = jax.Array


@flax.struct.dataclass
class LearnedBlocks:
  """A network for normalised blocks, with the interface of `KernelRegression`.

  Attributes:
    mean: Mean block given features.
  """

  mean: networks.Regression


@flax.struct.dataclass
class LearnedResiduals:
  """The residual's distribution, with the interface of `KernelRegression`.

  Attributes:
    scale: Scale of each pixel's residual given features.
    denoiser: Denoiser of residuals in units of the scale; None while the scale
      is all that is fitted.
  """

  scale: networks.Regression
  denoiser: GaussianMixtureDenoiser | None = None

  def __call__(
    self, x: Array, sigma: Array, cond: Condition | None = None
  ) -> Array:
    """Denoises residuals x [B, T*T] in units of the scale; see `Denoiser`."""
    assert self.denoiser is not None
    return self.denoiser(x, sigma, cond)


@flax.struct.dataclass
class ResidualModel:
  """The distribution of a block of the mean plane's residual.

  Attributes:
    blocks: Distribution given features.
    features: Features of the mean's normalised pixels around the block, a
      linear map.
    decay: Octaves by which the residual's scale falls, relative to the
      predicted one, for each octave of the image's size; see `scale_decay`.
  """

  blocks: LearnedResiduals | KernelRegression
  features: Array
  decay: float = 0.0


@flax.struct.dataclass
class Upscaler:
  """A model that enlarges planes by a whole factor.

  Attributes:
    blocks: Conditional mean of a normalised block.
    encoding: Linear prediction, and features of a source.
    residuals: Distribution of the mean plane's residual; None without samples.
    kernel: Blur of the degradation, [k, k]; None is antialiased bicubic.
    factor: Factor of one enlargement.
    source_size: Side S of a source patch, in low pixels.
    reach: Number of low pixels on each side of its centre that a block covers.
  """

  blocks: LearnedBlocks | KernelRegression
  encoding: pairs.SourceEncoding
  residuals: ResidualModel | None
  kernel: np.ndarray | None
  factor: int = static()
  source_size: int = static()
  reach: int = static()

  @property
  def is_mean_only(self) -> bool:
    """Whether the model has no distribution of residuals to sample from."""
    return self.residuals is None

  @property
  def residual_reach(self) -> int:
    """Reach of a residual's block: ten high pixels wide, or three low ones."""
    return max(1, round(4 / self.factor))

  @property
  def condition_reach(self) -> int:
    """Reach of the block of the mean that a residual is given."""
    return self.residual_reach + 1

  def downscaling(self, low_size: tuple[int, ...]) -> Downscaling:
    """The degradation from the enlarged plane to a low one of this size."""
    height, width = low_size
    high_size = self.factor * height, self.factor * width
    return make_downscaling((height, width), high_size, kernel=self.kernel)
