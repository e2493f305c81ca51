"""Options of everything that is done with a clip."""

import dataclasses
import enum

from internal_diffusion import arrays
from internal_diffusion.options import choice, rare


class Task(enum.StrEnum):
  """What is made of a clip."""

  GENERATE = 'generate'
  PREDICT = 'predict'
  INTERPOLATE = 'interpolate'
  FILL = 'fill'
  UPSCALE = 'upscale'


@dataclasses.dataclass(frozen=True)
class VideoOptions:
  """What is made of a clip, and how.

  Attributes:
    task: `generate` makes new clips of its patches, `predict` frames after the
      last, `interpolate` frames between, `fill` what is behind a mask, and
      `upscale` a larger clip.
    at: Number of a single frame that `interpolate` makes: it comes between the
      given frames at - 1 and at, counted from 0.
    factor: Frames of `interpolate` for each given one, a whole number, without
      `at`; or ratio of the sides of `upscale`, from 1.1 to 4. By default 2.
    num_frames: Number of frames that `predict` makes, by default 8, or
      `generate`, by default the clip's.
    size: Height and width of the clips of `generate`; by default the clip's.
    loop: Whether the last frame of `generate` leads to the first.
    backward: Whether `predict` makes the frames before the first.
    num_samples: Number of samples.
    last: Number of frames of the clip that are read; by default all.
    rate: Frames per second of the results; by default the clip's.
    num_steps: Number of steps of a pyramid level of `generate`.
  """

  task: Task = Task.INTERPOLATE
  at: int | None = None
  factor: float | None = None
  num_frames: int | None = None
  size: tuple[int, int] | None = None
  loop: bool = False
  backward: bool = False
  num_samples: int = 4
  last: int | None = rare(None)
  rate: float | None = rare(None)
  num_steps: int = rare(6)

  def __post_init__(self) -> None:
    """Raises ValueError for a value out of range, or of another task."""
    task = choice(Task, self.task, 'task')
    object.__setattr__(self, 'task', task)
    least = 0 if task in (Task.PREDICT, Task.INTERPOLATE, Task.UPSCALE) else 1
    arrays.check_in_range('num_samples', self.num_samples, least, 1000)
    for name in ('num_frames', 'last'):
      if getattr(self, name) is not None:
        arrays.check_positive_int(name, getattr(self, name))
    for side in self.size or ():
      arrays.check_positive_int('size', side)
    if self.rate is not None:
      arrays.check_in_range('rate', self.rate, 0, 1000, open_low=True)
    arrays.check_in_range('num_steps', self.num_steps, 2, 1000)
    belongs = {
      'at': (Task.INTERPOLATE,),
      'factor': (Task.INTERPOLATE, Task.UPSCALE),
      'num_frames': (Task.PREDICT, Task.GENERATE),
      'size': (Task.GENERATE,),
      'loop': (Task.GENERATE,),
      'backward': (Task.PREDICT,),
    }
    for name, tasks in belongs.items():
      if getattr(self, name) not in (None, False) and task not in tasks:
        raise ValueError(
          f'`{name}` is for {" and ".join(tasks)}, not for `task={task}`.'
        )
    if self.factor is None:
      return
    if self.at is not None:
      raise ValueError(
        f'`factor` is for all frames between, not for one `at` {self.at}.'
      )
    arrays.check_in_range('factor', self.factor, 1.1, 64)
    if task is Task.INTERPOLATE and self.factor != int(self.factor):
      raise ValueError(
        f'`factor` must be a whole number of frames, got {self.factor:g}.'
      )
