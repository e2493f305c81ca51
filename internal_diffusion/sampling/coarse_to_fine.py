"""Images from coarse to fine: each level keeps the low band of the coarser one.

The coarsest level is sampled from noise, or from a given picture with noise on
it. Every finer level begins with the finished coarser image, enlarged, with
just enough noise to hide its missing detail. The coarser image also remains a
constraint on the clean estimate (`constraints.LowBand`), which leaves the
denoiser the detail that the coarser level cannot hold. The last step has no
such constraint, so that the result is the denoiser's own.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion.data.resampling import Border, resample
from internal_diffusion.sampling import constraints as constraints_lib
from internal_diffusion.sampling import finite
from internal_diffusion.sampling.constraints import Constraint, LowBand
from internal_diffusion.sampling.samplers import sample_euler
from internal_diffusion.types import Condition, Denoiser, static

Array = jax.Array

FROM_NOISE = 100.0  # Noise level of noise alone.
_LAST_SIGMA = 1e-3  # The last step's: its estimate is made of nearest patches.


@flax.struct.dataclass
class Level:
  """One pyramid level of a prior of images.

  Attributes:
    denoiser: Denoiser of its images [B, H, W, C], given the finished coarser
      level as `cond.image` (None at the coarsest).
    sigma_max: Noise level on the enlarged coarser level that it begins with.
    step_factor: Its number of steps, relative to `num_steps`.
  """

  denoiser: Denoiser
  sigma_max: float = static()
  step_factor: float = static()


class Start(NamedTuple):
  """A picture to begin with, instead of noise alone.

  Attributes:
    picture: [h, w, C] in [-1, 1]; resized to its level.
    sigma: Noise level on the picture, in [0.002, 100]; less keeps more of it.
    level: Pyramid level that begins with it, counted from the finest, 0;
      coarser levels are not made. None is the coarsest.
    is_noisy: Whether the picture has its noise already, as an encoding has;
      then none is drawn, at finer levels neither. By default fresh noise is
      added.
  """

  picture: Array | np.ndarray
  sigma: float = 0.8
  level: int | None = None
  is_noisy: bool = False


def linear_flow_sigmas(
  num_steps: int, *, sigma_max: float = FROM_NOISE
) -> np.ndarray:
  """Noise levels at even times of the flow x = (1 - t) x0 + t eps.

  The levels sigma = t / (1 - t), [num_steps + 1], begin with `sigma_max`; the
  last step goes from almost no noise to 0.

  Raises:
    ValueError: If there are fewer than 2 steps.
  """
  if num_steps < 2:
    raise ValueError(f'`num_steps` must be at least 2, got {num_steps}.')
  time = np.linspace(sigma_max / (1 + sigma_max), 0, num_steps)[:-1]
  return np.array([*time / (1 - time), _LAST_SIGMA, 0.0], np.float32)


def sample_levels(
  key: Array,
  levels: Sequence[Level],
  sizes: Sequence[tuple[int, ...]],
  *,
  num_channels: int,
  num_steps: int = 10,
  start: Start | None = None,
  constraints: Sequence[Constraint] = (),
  on_step: Callable[[int], object] | None = None,
) -> list[Array]:
  """Samples an image, level by level.

  Args:
    key: One key.
    levels: Levels of the prior, finest first.
    sizes: (height, width) of each level, or (length, height, width).
    num_channels: C.
    num_steps: Number of steps of a level with `step_factor` 1.
    start: Picture to begin with; None is noise alone.
    constraints: Constraints on the image at its finest size.
    on_step: Called after every step with the number of pixels of its level, to
      show progress. Steps are compiled one by one then.

  Returns:
    The image, or the clip, at all levels from the start's on, [1, H, W, C],
    finest first.

  Raises:
    NonFiniteStateError: If a state is not finite; the step is named.
  """
  wraps = any(constraint.border is Border.WRAP for constraint in constraints)
  border = Border.WRAP if wraps else Border.REPLICATE
  loops = any(own.time_border is Border.WRAP for own in constraints)
  time_border = Border.WRAP if loops else Border.REPLICATE
  first = len(levels) - 1
  if start is not None and start.level is not None:
    first = start.level
  noise_scale = float(start is None or not start.is_noisy)
  made: list[Array] = []
  for level in range(first, -1, -1):
    size, sigma = sizes[level], levels[level].sigma_max
    carried = [constraint.at_size(size) for constraint in constraints]
    low_band: LowBand | None = None
    mean: Array | np.ndarray | None = None
    if made:
      low_band = constraints_lib.make_low_band(
        made[0],
        size,
        sigma_min=_LAST_SIGMA,
        border=border,
        time_border=time_border,
      )
    elif start is None:
      sigma = FROM_NOISE
      mean = np.zeros((1, *size, num_channels), np.float32)
    else:
      sigma = start.sigma
      mean = resample(start.picture, size, border=border)[None]
    num = num_steps_of(levels[level], num_steps)
    sigmas = jax.device_put(linear_flow_sigmas(num, sigma_max=sigma))
    own_key = jax.random.fold_in(key, first - level)
    denoiser = levels[level].denoiser
    arguments = denoiser, mean, low_band, sigmas, noise_scale, carried
    if on_step is None:
      found = _sample_level_compiled(own_key, *arguments)
    else:
      found = _sample_by_steps(own_key, *arguments, on_step=on_step)
    if not finite.is_finite(found):
      _sample_level(own_key, *arguments)  # Names the step.
    made.insert(0, found)
  return made


def num_steps_of(level: Level, num_steps: int) -> int:
  """The number of steps of a level, at least 2."""
  return max(2, round(level.step_factor * num_steps))


def _sample_level(
  key: Array,
  denoiser: Denoiser,
  mean: Array | np.ndarray | None,
  low_band: LowBand | None,
  sigmas: Array,
  noise_scale: float,
  constraints: list[Constraint],
) -> Array:
  """One level [B, H, W, C], from a mean or from the coarser level."""
  x = _begin(key, mean, low_band, sigmas, noise_scale, constraints)
  x = _take_steps(key, denoiser, x, low_band, sigmas, constraints)
  return _end(key, x, low_band, constraints)


def _begin(
  key: Array,
  mean: Array | np.ndarray | None,
  low_band: LowBand | None,
  sigmas: Array,
  noise_scale: float,
  constraints: list[Constraint],
) -> Array:
  """The mean, or the enlarged coarser level, with noise on it."""
  if low_band is not None:
    mean = low_band.enlarged()
  assert mean is not None
  noise = jax.random.normal(key, mean.shape)
  for constraint in _all(low_band, constraints):
    noise = constraint.project_noise(noise)
  return noise_scale * sigmas[0] * noise + mean


def _take_steps(
  key: Array,
  denoiser: Denoiser,
  x: Array,
  low_band: LowBand | None,
  sigmas: Array,
  constraints: list[Constraint],
) -> Array:
  cond = None if low_band is None else Condition(image=low_band.coarse)
  return sample_euler(
    key,
    denoiser,
    x,
    sigmas,
    cond=cond,
    constraints=_all(low_band, constraints),
  )


def _end(
  key: Array,
  x: Array,
  low_band: LowBand | None,
  constraints: list[Constraint],
) -> Array:
  """The constraints once more, to remove rounding errors of the last step."""
  held = _all(low_band, constraints)
  return constraints_lib.project(key, x, x, jnp.float32(0), held)


def _all(
  low_band: LowBand | None, constraints: list[Constraint]
) -> list[Constraint]:
  return constraints if low_band is None else [low_band, *constraints]


_sample_level_compiled = jax.jit(_sample_level)
_begin_compiled = jax.jit(_begin)
_steps_compiled = jax.jit(_take_steps)
_end_compiled = jax.jit(_end)


def _sample_by_steps(
  key: Array,
  denoiser: Denoiser,
  mean: Array | np.ndarray | None,
  low_band: LowBand | None,
  sigmas: Array,
  noise_scale: float,
  constraints: list[Constraint],
  *,
  on_step: Callable[[int], object],
) -> Array:
  """The same as `_sample_level`, with a call after every step."""
  x = _begin_compiled(key, mean, low_band, sigmas, noise_scale, constraints)
  num_pixels = math.prod(x.shape[1:-1])
  for index in range(len(sigmas) - 1):
    own_key = jax.random.fold_in(key, index)
    pair = sigmas[index : index + 2]
    x = _steps_compiled(own_key, denoiser, x, low_band, pair, constraints)
    x.block_until_ready()
    on_step(num_pixels)
  return _end_compiled(key, x, low_band, constraints)
