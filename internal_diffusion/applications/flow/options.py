"""Options of optical flow: the model of displacements and the field's prior."""

import dataclasses
import enum
import math

from internal_diffusion import arrays
from internal_diffusion.applications.flow.field import FieldPrior
from internal_diffusion.options import choice, rare
from internal_diffusion.training.options import OptimizerOptions, TrainOptions


class DisplacementDenoiser(enum.StrEnum):
  """The denoiser of displacements."""

  LEARNED = 'learned'
  CLOSED_FORM = 'closed_form'


class TrainOn(enum.StrEnum):
  """The frames of a pair that the denoiser is trained on."""

  FIRST = 'first'
  BOTH = 'both'


@dataclasses.dataclass(frozen=True)
class FlowOptions:
  """How a model of displacements is learnt, and how a flow is estimated.

  Lengths are in pixels of a pyramid level, brightness is in [-1, 1].

  Attributes:
    denoiser: Denoiser of displacements: learned, or closed_form, which is block
      matching and needs no training.
    train_on: Frames to learn from: the first of a pair, or both.
    stereo: Whether the frames are a rectified stereo pair, where nothing moves
      up or down.
    minutes: Training time in minutes, compilation excluded; 0 is no bound.
    num_samples: Number of samples of the flow, at least 2.
    seed: Seed of everything random.
    patch_size: Side of the learned denoiser's patches, odd.
    min_side: Smallest side of the pyramid's coarsest level.
    smoothing: Standard deviation of the Gaussian that smooths both frames;
      finer detail cannot be interpolated.
    num_fields: Number of random fields that each level is moved along.
    stddev: Standard deviation of each component of a displacement.
    sensor_noise: Lowest and highest noise level of the frames in training.
    num_warps: Number of warps of the second frame at each level.
    smoothness: Weight of the differences of neighbours, in 1 / pixels.
    edge_contrast: Difference of brightness at which the weight of a difference
      has fallen to 1/e.
    likelihood_weight: Weight of a pixel's likelihood, in (0, 1]; below 1
      because neighbouring patches share their pixels.
    block_size: Side of the blocks of block matching.
    block_reach: Largest displacement of block matching along an axis.
    batch_size: Number of pairs in a training step.
    num_steps: Number of training steps; 0 is no bound.
    width: Width of the network.
    depth: Number of residual blocks of the network.
    learning_rate: Peak learning rate.
  """

  denoiser: DisplacementDenoiser = DisplacementDenoiser.LEARNED
  train_on: TrainOn = TrainOn.FIRST
  stereo: bool = False
  minutes: float = 1.0
  num_samples: int = 16
  seed: int = rare(0)
  patch_size: int = rare(9)
  min_side: int = rare(24)
  smoothing: float = rare(0.5)
  num_fields: int = rare(12)
  stddev: float = rare(1.0)
  sensor_noise: tuple[float, float] = rare((0.002, 0.05))
  num_warps: int = rare(3)
  smoothness: float = rare(0.5)
  edge_contrast: float = rare(0.1)
  likelihood_weight: float = rare(0.03)
  block_size: int = rare(7)
  block_reach: int = rare(1)
  batch_size: int = rare(1024)
  num_steps: int = rare(0)
  width: int = rare(256)
  depth: int = rare(2)
  learning_rate: float = rare(1e-3)

  def __post_init__(self) -> None:
    """Checks the fields."""
    kinds = {'denoiser': DisplacementDenoiser, 'train_on': TrainOn}
    for name, kind in kinds.items():
      value = choice(kind, getattr(self, name), name)  # From a string, too.
      object.__setattr__(self, name, value)
    for name, bound in (
      ('num_samples', 2),
      ('min_side', 12),
      ('smoothing', 0),
    ):
      arrays.check_in_range(name, getattr(self, name), bound, math.inf)
    for name in (
      'stddev',
      'smoothness',
      'edge_contrast',
      'likelihood_weight',
      'learning_rate',
    ):
      arrays.check_in_range(
        name, getattr(self, name), 0, math.inf, open_low=True
      )
    for name in ('num_fields', 'num_warps', 'block_reach', 'width', 'depth'):
      arrays.check_positive_int(name, getattr(self, name))
    for name in ('patch_size', 'block_size'):
      arrays.check_odd(name, getattr(self, name))
    low, high = self.sensor_noise
    if not 0 < low < high < math.inf:
      raise ValueError(
        '`sensor_noise` must be two increasing levels above 0, got'
        f' {low}, {high}.'
      )
    arrays.check_in_range(
      'minutes',
      self.minutes,
      0,
      math.inf,
      open_low=not self.num_steps,
      open_high=True,
    )
    self.train  # noqa: B018  It checks the other fields.

  @property
  def train(self) -> TrainOptions:
    """The training run."""
    optimizer = OptimizerOptions(
      learning_rate=self.learning_rate, warmup_steps=100
    )
    return TrainOptions(
      seed=self.seed,
      batch_size=self.batch_size,
      num_steps=self.num_steps,
      max_minutes=self.minutes,
      optimizer=optimizer,
    )

  @property
  def prior(self) -> FieldPrior:
    """The prior of the flow field."""
    return FieldPrior(self.smoothness, self.edge_contrast)
