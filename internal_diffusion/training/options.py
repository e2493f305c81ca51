"""Options of training: length, batch, optimiser, network, noise, condition."""

import dataclasses
import enum
import math

from internal_diffusion import arrays
from internal_diffusion.denoisers import embeddings
from internal_diffusion.denoisers.parametrization import Parametrization


class Optimizer(enum.StrEnum):
  """An optimiser of optax."""

  ADAM = 'adam'
  ADAMW = 'adamw'
  MUON = 'muon'
  SGD = 'sgd'


class NoiseDraw(enum.StrEnum):
  """The distribution of the noise level in training."""

  LOGNORMAL = 'lognormal'
  LOGUNIFORM = 'loguniform'
  LADDER = 'ladder'


class ComputeType(enum.StrEnum):
  """The type that a network computes in; its parameters are float32."""

  FLOAT32 = 'float32'
  BFLOAT16 = 'bfloat16'


@dataclasses.dataclass(frozen=True)
class OptimizerOptions:
  """The optimiser and its learning rate.

  Attributes:
    name: Optimiser: adam, adamw, muon or sgd.
    learning_rate: Peak learning rate, reached after the warm-up.
    warmup_steps: Length of the linear warm-up; a cosine decay to 0 follows.
    weight_decay: Weight decay of adamw and muon.
    clip_norm: Bound on the gradient's norm; 0 is no bound.
  """

  name: Optimizer = Optimizer.ADAM
  learning_rate: float = 3e-3
  warmup_steps: int = 200
  weight_decay: float = 0.0
  clip_norm: float = 1.0

  def __post_init__(self) -> None:
    arrays.check_in_range(
      'optimizer.learning_rate', self.learning_rate, 0, math.inf, open_low=True
    )
    for name in ('warmup_steps', 'weight_decay', 'clip_norm'):
      arrays.check_in_range(
        f'optimizer.{name}', getattr(self, name), 0, math.inf
      )


@dataclasses.dataclass(frozen=True)
class CheckpointOptions:
  """Checkpoints of a run in a folder.

  Attributes:
    every_steps: Number of steps between two checkpoints.
    keep: Number of checkpoints that are kept, the newest.
  """

  every_steps: int = 1000
  keep: int = 2

  def __post_init__(self) -> None:
    for name in ('every_steps', 'keep'):
      arrays.check_positive_int(f'checkpoint.{name}', getattr(self, name))


@dataclasses.dataclass(frozen=True)
class TrainOptions:
  """A training run.

  It ends after `num_steps` or `max_minutes`, whichever comes first. The
  learning rate decays towards the end that is expected.

  Attributes:
    seed: Seed of everything random in the run.
    batch_size: Number of examples in a step, over all devices.
    num_steps: Number of steps; 0 is no bound.
    max_minutes: Time of the steps in minutes, compilation excluded; 0 is no
      bound.
    steps_per_call: Number of steps in one compiled call, between two log lines.
    num_devices: Number of devices to train on; 0 is all.
    optimizer: The optimiser and its learning rate.
    ema_decay: Decay per step of the averaged parameters, in [0, 1).
    checkpoint: Checkpoints of a run in a folder.
  """

  seed: int = 0
  batch_size: int = 768
  num_steps: int = 4600
  max_minutes: float = 0.0
  steps_per_call: int = 50
  num_devices: int = 0
  optimizer: OptimizerOptions = OptimizerOptions()
  ema_decay: float = 0.99
  checkpoint: CheckpointOptions = CheckpointOptions()

  def __post_init__(self) -> None:
    arrays.check_in_range('seed', self.seed, 0, 2**63 - 1)
    for name in ('batch_size', 'steps_per_call'):
      arrays.check_positive_int(name, getattr(self, name))
    for name in ('num_steps', 'max_minutes', 'num_devices'):
      arrays.check_in_range(name, getattr(self, name), 0, math.inf)
    if not self.num_steps and not self.max_minutes:
      raise ValueError(
        'Both `num_steps` and `max_minutes` are 0, so the run would never end;'
        ' set one of them.'
      )
    arrays.check_in_range('ema_decay', self.ema_decay, 0, 1, open_high=True)


@dataclasses.dataclass(frozen=True)
class NetworkOptions:
  """The score network, a residual MLP.

  Attributes:
    width: Width of the residual stream.
    depth: Number of residual blocks.
    embedding_dim: Length of the embedding of noise level and pyramid level.
    compute_dtype: Type of the products: float32, or bfloat16 for GPU and TPU.
  """

  width: int = 320
  depth: int = 3
  embedding_dim: int = 64
  compute_dtype: ComputeType = ComputeType.FLOAT32

  def __post_init__(self) -> None:
    for name in ('width', 'depth'):
      arrays.check_positive_int(f'network.{name}', getattr(self, name))
    embeddings.check_num_features('network.embedding_dim', self.embedding_dim)


@dataclasses.dataclass(frozen=True)
class NoiseOptions:
  """Noise levels in training, in the units of the data.

  Attributes:
    draw: Distribution of the noise level: lognormal, loguniform, or uniform on
      a geometric ladder.
    log_mean: Mean of ln sigma where it is lognormal.
    log_std: Standard deviation of ln sigma where it is lognormal.
    sigma_min: Lowest noise level of training and sampling.
    sigma_max: Highest noise level of training and sampling.
    num_levels: Number of levels of the ladder.
  """

  draw: NoiseDraw = NoiseDraw.LOGUNIFORM
  log_mean: float = -1.2
  log_std: float = 1.8
  sigma_min: float = 0.002
  sigma_max: float = 40.0
  num_levels: int = 30

  def __post_init__(self) -> None:
    arrays.check_positive_int('noise.num_levels', self.num_levels)
    if not 0 < self.sigma_min < self.sigma_max:
      raise ValueError(
        '0 < `noise.sigma_min` < `noise.sigma_max` must hold, got'
        f' {self.sigma_min} and {self.sigma_max}.'
      )
    arrays.check_in_range(
      'noise.log_std', self.log_std, 0, math.inf, open_low=True
    )


@dataclasses.dataclass(frozen=True)
class ConditionOptions:
  """Augmentation of the condition in training.

  Attributes:
    sigma_aug: Noise level of the condition.
    sigma_aug_max: Where above 0, the noise level is drawn log-uniformly from
      `sigma_aug` to this value, and the network receives it.
    dropout: Fraction of the samples that are trained without their condition,
      for guidance.
  """

  sigma_aug: float = 0.0
  sigma_aug_max: float = 0.0
  dropout: float = 0.0

  def __post_init__(self) -> None:
    arrays.check_in_range(
      'condition.sigma_aug', self.sigma_aug, 0, math.inf, open_high=True
    )
    arrays.check_in_range('condition.dropout', self.dropout, 0, 1)
    if self.sigma_aug_max > 0 and not 0 < self.sigma_aug <= self.sigma_aug_max:
      raise ValueError(
        '0 < `condition.sigma_aug` <= `condition.sigma_aug_max` must hold where'
        f' the latter is not 0, got {self.sigma_aug} and {self.sigma_aug_max}.'
      )


@dataclasses.dataclass(frozen=True)
class DenoiserOptions(TrainOptions):
  """The training of a learned denoiser.

  Attributes:
    num_references: Number of examples that the regression targets of a step are
      averages over, at least `batch_size`; 0 regresses on the examples
      themselves.
    num_gaussians: Number of Gaussians of the mixture that the network adds to,
      at little cost up to about 16; 0 is the Wiener filter alone.
    network: The score network.
    parametrization: What the network predicts: wiener, edm, vp_eps, vp_v,
      ve_score or flow.
    noise: Noise levels in training.
    condition: Augmentation of the condition in training.
  """

  num_references: int = 768
  num_gaussians: int = 0
  network: NetworkOptions = NetworkOptions()
  parametrization: Parametrization = Parametrization.WIENER
  noise: NoiseOptions = NoiseOptions()
  condition: ConditionOptions = ConditionOptions()

  def __post_init__(self) -> None:
    super().__post_init__()
    arrays.check_in_range('num_gaussians', self.num_gaussians, 0, math.inf)
    if (
      self.num_gaussians and self.parametrization is not Parametrization.WIENER
    ):
      raise ValueError(
        '`num_gaussians` must be 0 with the parametrization'
        f' {str(self.parametrization)!r}, got {self.num_gaussians}.'
      )
    if self.num_references and self.num_references < self.batch_size:
      raise ValueError(
        '`num_references` must be 0 or at least `batch_size`'
        f' {self.batch_size}, got {self.num_references}.'
      )
