"""The end of a run: after a number of steps or minutes, whichever is first."""

import dataclasses

# Length of a run bounded by time alone until its rate is known. The learning
# rate is warming up then, so any long run will do.
_UNKNOWN_LENGTH = 10**6


@dataclasses.dataclass(frozen=True)
class Budget:
  """The bounds of a run; 0 is no bound.

  Attributes:
    num_steps: Bound on the steps of the whole run.
    max_seconds: Bound on the time of all its steps, compilation excluded, over
      all parts of a resumed run.
  """

  num_steps: int
  max_seconds: float

  def total_steps(self, step: int, seconds: float) -> int:
    """Expected length of the whole run after `step` steps and `seconds`."""
    bounds = [self.num_steps] if self.num_steps else []
    if self.max_seconds and seconds >= self.max_seconds:
      bounds.append(step)
    elif self.max_seconds and step and seconds:
      bounds.append(max(step + 1, int(step * self.max_seconds / seconds)))
    return min(bounds, default=_UNKNOWN_LENGTH)

  def seconds_left(self, step: int, seconds: float) -> float | None:
    """Expected time left, or None where it is not known yet."""
    left = [max(self.max_seconds - seconds, 0)] if self.max_seconds else []
    if self.num_steps and step and seconds:
      left.append((self.num_steps - step) * seconds / step)
    return min(left, default=None)

  def fraction(self, step: int, seconds: float) -> float:
    """Fraction of the run that is over, in [0, 1]."""
    parts = []
    if self.num_steps:
      parts.append(step / self.num_steps)
    if self.max_seconds:
      parts.append(seconds / self.max_seconds)
    return min(max(parts), 1.0)
