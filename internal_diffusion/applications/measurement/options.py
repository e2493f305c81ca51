"""Options of measured displacements, and of what is reported."""

import dataclasses
import math

from internal_diffusion import arrays
from internal_diffusion.applications.measurement.kinds import Kind
from internal_diffusion.options import choice, rare


@dataclasses.dataclass(frozen=True)
class MeasurementOptions:
  """How displacements of particle images and speckle are measured.

  Attributes:
    kind: What the frames show: particles, speckle or photograph; auto finds it
      from the first frame.
    grid: Distance of the reported vectors, in pixels.
    pixels_per_mm: Pixels per millimetre; without it, lengths are in pixels.
    dt: Time between two frames in seconds; without it, results are
      displacements and not velocities.
    min_window: Smallest side of the window that a vector stands for, in pixels.
    max_window: Largest side of that window in good frames.
    num_pairs: Number of pairs with known fields that calibrate the uncertainty.
    seed: Seed of everything random.
  """

  kind: Kind = Kind.AUTO
  grid: int = 16
  pixels_per_mm: float | None = None
  dt: float | None = None
  min_window: float = rare(6.0)
  max_window: float = rare(20.0)
  num_pairs: int = rare(3)
  seed: int = rare(0)

  def __post_init__(self) -> None:
    """Checks the fields."""
    object.__setattr__(self, 'kind', choice(Kind, self.kind, 'kind'))
    for name in ('grid', 'num_pairs'):
      arrays.check_positive_int(name, getattr(self, name))
    for name in ('pixels_per_mm', 'dt'):
      value = getattr(self, name)
      if value is not None:
        arrays.check_in_range(
          name, value, 0, math.inf, open_low=True, open_high=True
        )
    arrays.check_in_range('min_window', self.min_window, 4, math.inf)
    arrays.check_in_range(
      'max_window', self.max_window, self.min_window, math.inf, open_high=True
    )

  def check_grid(self, size: tuple[int, ...]) -> None:
    """Raises ValueError if a frame of height and width has no vector."""
    if self.grid > min(size[:2]):
      raise ValueError(
        f'`grid` must be at most the shorter side of the frames,'
        f' {min(size[:2])} pixels, got {self.grid}.'
      )
