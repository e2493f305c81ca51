"""What is learnt from a pair before its like are measured: one value."""

import flax.struct
import jax

from internal_diffusion.types import static

Array = jax.Array


@flax.struct.dataclass
class MeasurementModel:
  """Windows of a measurement and the calibration of its errors.

  Attributes:
    windows: Sides of the windows that u and v stand for, in pixels, [2].
    weights: Weights of the signs of error of u and v, [2, 3]; see `signs`.
    slopes: Variance of the error's derivative along x and y, of u and v, in
      units of the variance over the window's area, [2, 2].
    nominal: Confidences of the reliability diagram, [L].
    coverage: Part of the errors of u and v that intervals of these confidences
      hold, on a pair that was not fitted, [2, L].
    kind: Kind of the frames.
  """

  windows: Array
  weights: Array
  slopes: Array
  nominal: Array
  coverage: Array
  kind: str = static()
