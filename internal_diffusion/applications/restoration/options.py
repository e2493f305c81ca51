"""Options of restoration."""

import dataclasses
import enum

from internal_diffusion import arrays
from internal_diffusion import options as options_lib


class Task(enum.StrEnum):
  """What is wrong with a picture, or `auto`: look at the picture."""

  AUTO = 'auto'
  DENOISE = 'denoise'
  DEBLUR = 'deblur'
  JPEG = 'jpeg'
  INPAINT = 'inpaint'
  COLORIZE = 'colorize'


@dataclasses.dataclass(frozen=True)
class RestoreOptions:
  """Restoration of a damaged picture from that picture alone.

  Attributes:
    task: What is wrong: noise (denoise), blur (deblur), JPEG compression
      (jpeg), missing pixels (inpaint) or missing colour (colorize); auto looks
      at the picture and at what is given with it.
    sigma: Standard deviation of the noise, in grey levels of 255, from 0 to
      255; estimated if it is left out.
    quality: JPEG quality from 1 to 100 of a picture that was compressed and
      then saved in another format; by default the file's own tables are used.
    num_samples: Number of samples beside the mean, at least 0.
    seed: Seed of everything random.
    kernel_size: Largest side of a blur kernel that is estimated, in pixels,
      odd, at least 5.
  """

  task: Task = Task.AUTO
  sigma: float | None = None
  quality: int | None = None
  num_samples: int = 0
  seed: int = 0
  kernel_size: int = options_lib.rare(31)

  def __post_init__(self) -> None:
    """Checks the fields."""
    task = options_lib.choice(Task, self.task, 'task')
    object.__setattr__(self, 'task', task)
    if self.sigma is not None:
      arrays.check_in_range('sigma', self.sigma, 0, 255)
    if self.quality is not None:
      arrays.check_positive_int('quality', self.quality)
      arrays.check_in_range('quality', self.quality, 1, 100)
    if self.num_samples:
      arrays.check_positive_int('num_samples', self.num_samples)
    arrays.check_odd('kernel_size', self.kernel_size)
    arrays.check_in_range('kernel_size', self.kernel_size, 5, 255)
    arrays.check_in_range('seed', self.seed, 0, 2**63 - 1)
