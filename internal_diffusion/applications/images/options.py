"""Options of new images made from one image."""

import dataclasses
import enum
import pathlib

from internal_diffusion import arrays
from internal_diffusion.options import rare
from internal_diffusion.sampling.coarse_to_fine import linear_flow_sigmas
from internal_diffusion.sampling.constraints import Constraint, MirrorSymmetry
from internal_diffusion.sampling.wrapping import WrappedBorder


class LevelDenoiser(enum.StrEnum):
  """Denoiser of the patches of a level."""

  CLOSED_FORM = 'closed_form'
  GAUSSIAN_MIXTURE = 'gaussian_mixture'


class Mode(enum.StrEnum):
  """Where the layout of the new images comes from."""

  GENERATE = 'generate'
  RETARGET = 'retarget'


class Symmetry(enum.StrEnum):
  """Mirror symmetry of the new images."""

  NONE = 'none'
  HORIZONTAL = 'horizontal'
  VERTICAL = 'vertical'

  @property
  def axis(self) -> int | None:
    """Axis of [H, W] that is mirrored, or None."""
    return {'none': None, 'horizontal': 1, 'vertical': 0}[self.value]


@dataclasses.dataclass(frozen=True)
class GenerateOptions:
  """How new images are made from one image.

  Attributes:
    num_samples: Number of new images; each has the next seed.
    denoiser: `closed_form` copies patches of the image; `gaussian_mixture`
      makes new ones at all levels but the coarsest, without sharp lines: for
      rough textures only.
    size: Height and width of the new images, as in 240x320; by default the
      image's own.
    mode: `generate` makes a new layout, `retarget` keeps the image's layout at
      another size.
    structure: Picture whose layout the new images have, in the image's texture.
    tileable: Whether opposite borders fit together.
    symmetric: `horizontal` mirrors left and right, `vertical` top and bottom.
    max_side: Largest side of the image in pixels; a larger image is scaled
      down. By default there is no bound.
    patch_size: Side of a patch in pixels, odd; a larger one keeps larger
      objects whole. By default 15, and 9 with `structure`.
    start_sigma: Noise level, in [0.002, 100], on the picture that `retarget`
      (0.8 by default) and `structure` (0.4) begin with; less keeps more of it.
    num_steps: Number of steps of a pyramid level, at least 2. The coarsest
      level has four times as many, the finest half.
  """

  num_samples: int = 4
  denoiser: LevelDenoiser = LevelDenoiser.CLOSED_FORM
  size: tuple[int, int] | None = None
  mode: Mode = Mode.GENERATE
  structure: pathlib.Path | None = None
  tileable: bool = False
  symmetric: Symmetry = Symmetry.NONE
  max_side: int | None = None
  patch_size: int | None = rare(None)
  start_sigma: float | None = rare(None)
  num_steps: int = rare(10)

  def __post_init__(self) -> None:
    """Raises ValueError for a value out of range, or two that conflict."""
    arrays.check_positive_int('num_samples', self.num_samples)
    for side in self.size or ():
      arrays.check_positive_int('size', side)
    for name in ('patch_size', 'max_side'):
      if getattr(self, name) is not None:
        arrays.check_positive_int(name, getattr(self, name))
    if self.patch_size is not None:
      arrays.check_odd('patch_size', self.patch_size)
    if self.start_sigma is not None:
      arrays.check_in_range('start_sigma', self.start_sigma, 0.002, 100)
    linear_flow_sigmas(self.num_steps)
    is_mixture = self.denoiser is LevelDenoiser.GAUSSIAN_MIXTURE
    if is_mixture and self.symmetric is not Symmetry.NONE:
      raise ValueError(
        '`symmetric` needs mirrored patches, which only'
        ' `denoiser=closed_form` has.'
      )
    if self.structure is not None and self.mode is Mode.RETARGET:
      raise ValueError(
        '`structure` and `mode=retarget` exclude each other: both give the'
        ' layout.'
      )
    if self.tileable and self.symmetric is not Symmetry.NONE:
      raise ValueError('`symmetric` and `tileable` exclude each other.')

  @property
  def constraints(self) -> list[Constraint]:
    """Constraints on the new images."""
    found: list[Constraint] = []
    if self.tileable:
      found.append(WrappedBorder())
    if self.symmetric.axis is not None:
      found.append(MirrorSymmetry(self.symmetric.axis))
    return found
