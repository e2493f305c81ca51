"""Options of models of patches, and a preset for each distribution."""

import dataclasses
import enum
import math

from internal_diffusion import arrays
from internal_diffusion.data import distributions
from internal_diffusion.data.distributions import Distribution
from internal_diffusion.data.pair_table import DisplacementRange
from internal_diffusion.options import replace
from internal_diffusion.training.options import (
  ConditionOptions,
  DenoiserOptions,
  NoiseOptions,
)


class Distributions(enum.StrEnum):
  """The distribution that a model learns."""

  PATCH = 'patch'
  TARGET_GIVEN_SOURCE = 'target_given_source'
  CASCADE = 'cascade'
  DELTA_GIVEN_PAIR = 'delta_given_pair'
  JOINT = 'joint'

  @property
  def distribution(self) -> Distribution:
    """The parts of a triplet that it generates and is given."""
    return getattr(distributions, self.value)


@dataclasses.dataclass(frozen=True)
class PyramidOptions:
  """The pyramid of the image.

  Attributes:
    scale_factor: Ratio of a level's side to that of the next finer level.
    min_side: Smallest side of the coarsest level, in pixels.
    level_power: A level is drawn in proportion to its number of patches to this
      power: 1 makes all patches equally likely, 0 all levels.
  """

  scale_factor: float = 0.75
  min_side: int = 20
  level_power: float = 1.0

  def __post_init__(self) -> None:
    """Checks the fields."""
    arrays.check_in_range(
      'pyramid.scale_factor',
      self.scale_factor,
      0,
      1,
      open_low=True,
      open_high=True,
    )
    arrays.check_positive_int('pyramid.min_side', self.min_side)
    arrays.check_in_range('pyramid.level_power', self.level_power, 0, 1)


@dataclasses.dataclass(frozen=True)
class TripletOptions:
  """The pairs of patches that triplets are made of.

  Attributes:
    vertical: Lowest and highest vertical displacement from source to target, in
      whole pixels of the source's level.
    horizontal: Lowest and highest horizontal displacement.
    time: Lowest and highest number of frames from source to target, of a clip;
      None for an image.
    level_steps: Levels from source to target: 0 is the same level, 1 the next
      coarser, -1 the next finer.
    subpixel: Whether targets lie between pixels too.
    dihedral: Whether triplets are rotated and mirrored at random.
  """

  vertical: tuple[int, int] = (0, 0)
  horizontal: tuple[int, int] = (0, 0)
  time: tuple[int, int] | None = None
  level_steps: tuple[int, ...] = (0,)
  subpixel: bool = False
  dihedral: bool = False

  @property
  def displacement_range(self) -> DisplacementRange:
    """Range along each axis; that of time, if there is one, comes first."""
    space = self.vertical, self.horizontal
    return space if self.time is None else (self.time, *space)


@dataclasses.dataclass(frozen=True)
class SamplingOptions:
  """The sampler's grid of noise levels.

  Attributes:
    num_steps: Number of Heun steps, of two evaluations each.
    rho: Exponent of the grid (Karras et al. 2022, eq. 5).
    s_churn: Total churn over all steps; 0 is the deterministic sampler.
  """

  num_steps: int = 36
  rho: float = 7.0
  s_churn: float = 0.0

  def __post_init__(self) -> None:
    """Checks the fields."""
    arrays.check_positive_int('sampling.num_steps', self.num_steps)
    arrays.check_in_range('sampling.rho', self.rho, 0, math.inf, open_low=True)
    arrays.check_in_range('sampling.s_churn', self.s_churn, 0, math.inf)


@dataclasses.dataclass(frozen=True)
class PatchOptions(DenoiserOptions):
  """A model of the patches of one image, and its training.

  Attributes:
    distribution: Distribution to learn: patch, target_given_source, cascade,
      delta_given_pair or joint.
    patch_size: Side P of a patch, in pixels, odd.
    pyramid: The pyramid of the image.
    triplet: The pairs of patches that triplets are made of.
    sampling: The sampler's grid of noise levels.
  """

  distribution: Distributions = Distributions.PATCH
  patch_size: int = 7
  pyramid: PyramidOptions = PyramidOptions()
  triplet: TripletOptions = TripletOptions()
  sampling: SamplingOptions = SamplingOptions()

  def __post_init__(self) -> None:
    """Checks the fields."""
    super().__post_init__()
    arrays.check_odd('patch_size', self.patch_size)


def patch_options() -> PatchOptions:
  """Options of p(patch): the network adds to a mixture of Gaussians."""
  return PatchOptions(num_gaussians=16)


def target_given_source_options() -> PatchOptions:
  """Options of p(target | source, delta): the patch one level finer.

  The source is noisy in training, so that the model generalises.
  """
  return PatchOptions(
    distribution=Distributions.TARGET_GIVEN_SOURCE,
    triplet=TripletOptions(level_steps=(-1,)),
    condition=ConditionOptions(sigma_aug=0.05, dropout=0.1),
  )


def delta_given_pair_options() -> PatchOptions:
  """Options of p(delta | source, target), displacements of up to 3 pixels.

  The noise levels are those at which a displacement is in doubt.
  """
  return PatchOptions(
    distribution=Distributions.DELTA_GIVEN_PAIR,
    triplet=TripletOptions(vertical=(-3, 3), horizontal=(-3, 3)),
    noise=NoiseOptions(sigma_min=0.02, sigma_max=10.0),
    sampling=SamplingOptions(num_steps=18),
  )


def joint_options() -> PatchOptions:
  """Options of p(source, target, delta), trained for longer."""
  return replace(
    delta_given_pair_options(),
    distribution=Distributions.JOINT,
    # From where a displacement is certain to where a patch is hidden by noise.
    noise={'sigma_max': 40.0},
    batch_size=512,
    num_references=512,
    num_steps=9000,
  )


def cascade_options() -> PatchOptions:
  """Options of p(target | source) one level finer, for whole images."""
  return PatchOptions(
    distribution=Distributions.CASCADE,
    patch_size=9,
    pyramid=PyramidOptions(scale_factor=0.5, min_side=20, level_power=0.0),
    condition=ConditionOptions(sigma_aug=0.1),
    noise=NoiseOptions(sigma_min=0.01, sigma_max=10.0),
    batch_size=256,
    num_references=256,
    num_steps=0,
    max_minutes=5.0,
  )
