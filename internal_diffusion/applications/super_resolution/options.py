"""Options of super-resolution, and the training that follows from them."""

import dataclasses
import enum
import math

from internal_diffusion import arrays
from internal_diffusion.data.downscaling import FACTORS
from internal_diffusion.options import rare
from internal_diffusion.training.options import (
  OptimizerOptions,
  TrainOptions,
)


class Preset(enum.StrEnum):
  """Length of the training.

  On two CPU cores, with eight samples of a small image and compilation, `fast`
  takes about half a minute, `default` two minutes and `best` six.
  """

  FAST = 'fast'
  DEFAULT = 'default'
  BEST = 'best'


class BlockDenoiser(enum.StrEnum):
  """A model of blocks: networks, or kernel regression without training."""

  LEARNED = 'learned'
  CLOSED_FORM = 'closed_form'


# Minutes of training of (mean, scale) on two CPU cores, and rounds.
_PRESETS = {
  Preset.FAST: ((0.12, 0.06), 5),
  Preset.DEFAULT: ((1.2, 0.25), 30),
  Preset.BEST: ((4.6, 0.4), 100),
}


@dataclasses.dataclass(frozen=True)
class RegressionOptions:
  """A regression network, a residual MLP.

  Attributes:
    width: Width of the residual stream.
    depth: Number of residual blocks.
  """

  width: int = 256
  depth: int = 3

  def __post_init__(self) -> None:
    """Checks the fields."""
    for name in ('width', 'depth'):
      arrays.check_positive_int(f'network.{name}', getattr(self, name))


@dataclasses.dataclass(frozen=True)
class UpscaleOptions:
  """Super-resolution of an image from the image itself.

  Attributes:
    factor: Ratio of the output's side to the input's, from 1.1 to 8.
    preset: Length of the training: fast, default or best.
    minutes: Minutes of training of all networks together; by default the
      preset's.
    num_samples: Number of samples, at least 2, which an uncertainty needs.
    mean_only: Whether to make the mean alone, without samples and uncertainty.
    denoiser: learned, or closed_form, which is kernel regression without
      training.
    seed: Seed of everything random.
    sampler_steps: Number of Heun steps of a sample.
    source_size: Side of a source patch, in low pixels, odd.
    reach: Number of low pixels on each side of its centre that a block covers.
    num_rounds: Number of rounds of the mean's training, which begin with pairs
      made anew from the upscaled image; by default the preset's.
    num_steps: Number of training steps of each network, instead of minutes.
    batch_size: Number of pairs in a training step.
    num_devices: Number of devices to train on; 0 is all.
    num_pairs: Number of pairs of the closed form.
    sigma_aug: Bandwidth of the closed form, in features.
    num_components: Number of Gaussians of the residual's mixture.
    mean_network: Network of the mean.
    scale_network: Network of the residual's scale.
  """

  factor: float = 2.0
  preset: Preset = Preset.DEFAULT
  minutes: float | None = None
  num_samples: int = 8
  mean_only: bool = False
  denoiser: BlockDenoiser = BlockDenoiser.LEARNED
  seed: int = 0
  sampler_steps: int = rare(6)
  source_size: int = rare(9)
  reach: int = rare(1)
  num_rounds: int | None = rare(None)
  num_steps: int | None = rare(None)
  batch_size: int = rare(256)
  num_devices: int = rare(0)
  num_pairs: int = rare(16384)
  sigma_aug: float = rare(0.35)
  num_components: int = rare(20)
  mean_network: RegressionOptions = RegressionOptions()
  scale_network: RegressionOptions = RegressionOptions(width=128, depth=2)

  def __post_init__(self) -> None:
    """Checks the fields."""
    arrays.check_in_range('factor', self.factor, *FACTORS)
    arrays.check_in_range('seed', self.seed, 0, 2**63 - 1)
    arrays.check_in_range('reach', self.reach, 0, math.inf)
    arrays.check_odd('source_size', self.source_size)
    for name in ('sampler_steps', 'batch_size', 'num_pairs', 'num_components'):
      arrays.check_positive_int(name, getattr(self, name))
    for name in ('num_rounds', 'num_steps'):
      if getattr(self, name) is not None:
        arrays.check_positive_int(name, getattr(self, name))
    if not self.mean_only and self.num_samples < 2:
      raise ValueError(
        '`num_samples` must be at least 2, as an uncertainty needs two, got'
        f' {self.num_samples}; `mean_only` needs none.'
      )
    for name, value in (
      ('minutes', self.minutes),
      ('sigma_aug', self.sigma_aug),
    ):
      if value is not None and not 0 < value < math.inf:
        raise ValueError(f'`{name}` must be above 0, got {value}.')

  @property
  def mean_rounds(self) -> int:
    """Number of rounds of the mean's training.

    Up to a factor of 2 a third of the preset's: the upscaled image is larger
    then, so making its pairs takes longer.
    """
    if self.num_rounds is not None:
      return self.num_rounds
    _, num = _PRESETS[self.preset]
    return num if self.factor > 2 else max(1, num // 3)

  @property
  def mean_training(self) -> TrainOptions:
    """Training of the mean's network."""
    optimizer = OptimizerOptions(learning_rate=3e-3, warmup_steps=100)
    return TrainOptions(**self._run(0), optimizer=optimizer)

  @property
  def scale_training(self) -> TrainOptions:
    """Training of the scale's network."""
    optimizer = OptimizerOptions(learning_rate=5e-3, warmup_steps=100)
    return TrainOptions(**self._run(1), optimizer=optimizer)

  def _run(self, part: int) -> dict:
    """Seed, batch and length of the training of the mean or the scale."""
    each, _ = _PRESETS[self.preset]
    ratio = 1.0 if self.minutes is None else self.minutes / sum(each)
    is_timed = self.num_steps is None
    return {
      'seed': self.seed,
      'batch_size': self.batch_size,
      'num_devices': self.num_devices,
      'num_steps': 0 if self.num_steps is None else self.num_steps,
      'max_minutes': ratio * each[part] if is_timed else 0.0,
    }
