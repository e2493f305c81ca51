"""When a run ends: after so many steps or minutes, whichever comes first."""

import dataclasses
import math

from internal_diffusion import arrays

# Assumed length of a run bounded by time alone until its rate is known. The
# learning rate is warming up then, so any long run will do.
_UNKNOWN_LENGTH = 10**6


@dataclasses.dataclass(frozen=True)
class Budget:
  """The bounds of a run; 0 is no bound.

  Attributes:
    num_steps: Bound on the steps of the whole run.
    max_seconds: Bound on the time of all its calls, compilation left out,
      over all its parts where it was resumed.
  """

  num_steps: int
  max_seconds: float

  def __post_init__(self) -> None:
    arrays.check_in_range('num_steps', self.num_steps, 0, math.inf)
    arrays.check_in_range('max_minutes', self.max_seconds, 0, math.inf)
    if not self.num_steps and not self.max_seconds:
      raise ValueError(
        'Both `num_steps` and `max_minutes` are 0, so the run would never end;'
        ' set one of them.'
      )

  def total_steps(self, step: int, seconds: float) -> int:
    """Length of the whole run as it looks after `step` steps and `seconds`."""
    bounds = [self.num_steps] if self.num_steps else []
    if self.max_seconds and seconds >= self.max_seconds:
      bounds.append(step)
    elif self.max_seconds and step and seconds:
      bounds.append(max(step + 1, int(step * self.max_seconds / seconds)))
    return min(bounds, default=_UNKNOWN_LENGTH)
