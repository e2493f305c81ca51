"""Super-resolution of an image from the image itself, with its uncertainty.

One regression doubles the size (`upscaler`). Larger factors are reached by
doubling again, and sizes between two doublings by antialiased downscaling,
since patches recur best between scales that are near each other (Glasner et
al. 2009). In the end, the result is made to become the given image when
downscaled. A sample adds to the luminance what the mean of each doubling
leaves, drawn given that mean; what an earlier one left is enlarged by the
regression's linear part, which is all that colour differences take too, since
they are smooth.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from internal_diffusion.applications.upscaler import (
  Upscaler,
  upscale_plane,
  upscale_smooth_plane,
)
from internal_diffusion.applications.upscaler_samples import (
  deviation_of,
  sample_rest,
)
from internal_diffusion.data import image_io, operators
from internal_diffusion.data.colour_planes import from_planes, to_planes

Array = jax.Array


# Small images have more detail for their size than large ones, so what is drawn
# is too much where much is to be found: beyond this factor, it counts less, by
# this power of the factor. Chosen on Set5 at x3 and x4.
_TEMPERED_FROM, _TEMPERED_POWER = 2.75, 0.6


class Upscaled(NamedTuple):
  """An image, upscaled.

  Attributes:
    mean: [H, W, C] in [-1, 1].
    samples: [K, H, W, C], or None.
  """

  mean: np.ndarray
  samples: np.ndarray | None


def num_doublings(factor: float) -> int:
  """How often a size is doubled to reach a factor."""
  return max(1, math.ceil(math.log2(factor) - 1e-6))


def upscale(
  key: Array,
  upscaler: Upscaler,
  image: np.ndarray,
  *,
  factor: float,
  num_samples: int = 0,
  num_steps: int = 5,
  progress: bool = False,
) -> Upscaled:
  """Upscales an image.

  Args:
    key: One key.
    upscaler: What was learnt, from this image as a rule.
    image: [h, w, C] float32 in [-1, 1], C from 1 to 4: grey or colour, and
      alpha.
    factor: Any number in [1.1, 8]; that of the upscaler if it has a kernel.
    num_samples: K.
    num_steps: Heun steps of a sample.
    progress: Whether to show a progress bar.

  Returns:
    The mean, and K samples where K is not 0.

  Raises:
    ValueError: If an argument is not as said above, or samples are asked for
      that the upscaler was not trained for.
  """
  image = image_io.check_image(image, with_alpha=True)
  if num_samples < 0:
    raise ValueError(f'`num_samples` must be at least 0, got {num_samples}.')
  size = operators.scaled_size(image.shape[:2], factor)
  if num_samples and upscaler.rest is None:
    raise ValueError(
      '`num_samples` must be 0: this upscaler was trained for the mean alone.'
    )
  if upscaler.kernel is not None and factor != upscaler.factor:
    raise ValueError(
      f'`factor` must be {upscaler.factor}, that of the kernel, got {factor}.'
    )
  degradation = operators.make_downscaling(
    image.shape[:2], size, kernel=upscaler.kernel
  )
  times = num_doublings(factor) if upscaler.kernel is None else 1
  luminance, *others = (jnp.asarray(plane) for plane in to_planes(image))
  num_colours = 2 if len(others) > 1 else 0
  bar = tqdm(
    total=1 + num_samples, desc='upscaling', unit='image', disable=not progress
  )
  planes = _enlarge(upscaler, luminance, times)
  smooth = [
    _enlarge_smooth(upscaler, plane, times) for plane in others[:num_colours]
  ]
  smooth += [
    _enlarge(upscaler, plane, times)[-1] for plane in others[num_colours:]
  ]

  def finish(high: Array) -> np.ndarray:
    sized = [_to_size(plane, size) for plane in (high, *smooth)]
    made = degradation.back_project(
      jnp.asarray(from_planes(np.stack(sized))), jnp.asarray(image)
    )
    finished = np.asarray(made).clip(-1, 1)
    bar.update()
    return finished

  mean = finish(planes[-1])
  samples = np.empty((num_samples, *mean.shape), np.float32)
  lows = planes[:-1] if num_samples else []
  share = min(1.0, (_TEMPERED_FROM / factor) ** _TEMPERED_POWER)
  deviations = [deviation_of(upscaler, low) for low in lows]
  for k in range(num_samples):
    own_key = jax.random.fold_in(key, k)
    rest = _draw_rest(own_key, upscaler, lows, deviations, num_steps)
    samples[k] = finish(planes[-1] + share * rest)
  bar.close()
  return Upscaled(mean, samples if num_samples else None)


def _enlarge(upscaler: Upscaler, low: Array, times: int) -> list[Array]:
  """A plane and the means of it, enlarged once and again, so often."""
  planes = [low]
  for _ in range(times):
    planes.append(upscale_plane(upscaler, planes[-1]))
  return planes


def _enlarge_smooth(upscaler: Upscaler, low: Array, times: int) -> Array:
  """A plane of colour differences, enlarged so often."""
  for _ in range(times):
    low = upscale_smooth_plane(upscaler, low)
  return low


def _draw_rest(
  key: Array,
  upscaler: Upscaler,
  lows: list[Array],
  deviations: list[Array],
  num_steps: int,
) -> Array:
  """What the means of doublings leave, a sample, at the last one's size.

  Args:
    key: One key.
    upscaler: What was learnt.
    lows: What is doubled, each twice as large as the one before.
    deviations: Of their means.
    num_steps: Heun steps.
  """
  rest = jnp.zeros_like(lows[0])
  for index, (low, deviation) in enumerate(zip(lows, deviations, strict=True)):
    own_key = jax.random.fold_in(key, index)
    drawn = sample_rest(own_key, upscaler, low, deviation, num_steps=num_steps)
    before = upscale_smooth_plane(upscaler, rest) if index else 0.0
    rest = before + drawn
  return rest


def _to_size(plane: Array, size: tuple[int, int]) -> np.ndarray:
  """A plane at its last size, which is at most its own."""
  if plane.shape == size:
    return np.asarray(plane)
  return np.asarray(jax.image.resize(plane, size, 'cubic', antialias=True))
