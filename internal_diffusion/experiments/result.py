"""The result of an experiment: measures with goals, samples, pictures."""

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from internal_diffusion import figures


@dataclasses.dataclass(frozen=True)
class Measure:
  """A measured number and its goal.

  Attributes:
    value: The number.
    at_most: Upper bound, or None.
    at_least: Lower bound, or None.
  """

  value: float
  at_most: float | None = None
  at_least: float | None = None

  @property
  def is_met(self) -> bool | None:
    """Whether the bounds hold; None if there are none."""
    if self.at_most is None and self.at_least is None:
      return None
    high = np.inf if self.at_most is None else self.at_most
    low = -np.inf if self.at_least is None else self.at_least
    return bool(low <= self.value <= high)

  @property
  def goal(self) -> str:
    """The bounds in words."""
    if self.at_most is not None:
      return f'at most {self.at_most:g}'
    return '' if self.at_least is None else f'at least {self.at_least:g}'


@dataclasses.dataclass(frozen=True)
class Result:
  """The result of one run of an experiment.

  Attributes:
    measures: Numbers by name.
    samples: Raw draws and exact answers, arrays by name, from which numbers and
      pictures can be recomputed.
    pictures: Functions that draw figures, with captions, by file name without
      suffix. They are called after the numbers are written.
  """

  measures: Mapping[str, Measure]
  samples: Mapping[str, np.ndarray]
  pictures: Mapping[str, tuple[Callable[[], figures.Figure], str]]
