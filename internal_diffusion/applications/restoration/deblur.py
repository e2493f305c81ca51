"""Deblurring with a given kernel; `blind_kernel` estimates one.

The scene is larger than the picture by the kernel, and what lies outside is
unknown, so borders do not ring.
"""

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion import arrays
from internal_diffusion.applications.restoration.estimate import (
  Levels,
  Problem,
  RestoredScene,
  Spread,
  estimate,
  std_of_smaller,
)
from internal_diffusion.applications.restoration.loop import falling
from internal_diffusion.applications.restoration.restored import (
  Restored,
  from_std,
)
from internal_diffusion.data.blur import Blur, make_blur
from internal_diffusion.data.noise_level import estimate_noise
from internal_diffusion.jax_settings import with_own_settings
from internal_diffusion.sampling.constraints import LinearObservation

Array = jax.Array

# Noise levels of the loop, in grey levels of 255.
_FIRST, _LAST, _NUM_STEPS = 30.0, 2.0, 9
# Those after it and the first of a sample, over the loop's last level.
_GROUPS, _SAMPLE = (1.0,), 1.0
# Standard deviation of the grain that no restoration brings back.
_UNSEEN = 0.5
_LEAST_NOISE = 1.0  # Of the observation, with rounding and a wrong kernel.


@with_own_settings
def deblur(
  key: Array,
  image: np.ndarray,
  kernel: np.ndarray,
  *,
  sigma: float | None = None,
  num_samples: int = 0,
  progress: bool = False,
) -> Restored:
  """Removes blur and noise.

  Args:
    key: One key.
    image: Blurred picture, [H, W, C].
    kernel: Kernel of the convolution, [k, l] with odd sides.
    sigma: Standard deviation of white noise, in grey levels of 255; None
      estimates it.
    num_samples: Number of samples.
    progress: Whether to show a progress bar.

  Raises:
    ValueError: If the kernel or the noise level is not valid.
  """
  image = np.asarray(image, np.float32)
  if sigma is None:
    sigma = estimate_noise(image).grey_levels
  arrays.check_in_range('sigma', sigma, 0, 255)
  sigma = max(float(sigma), _LEAST_NOISE)
  blur = make_blur(image.shape[:2], kernel)
  noise_std = jax.device_put(np.float32(2 * sigma / 255))

  def problem(blur: Blur, observed: Array) -> Problem:
    constraint = LinearObservation(blur, observed, noise_std)
    return Problem(blur.interpolate(observed), constraint, blur.margin)

  def damage(key: Array, truth: Array) -> tuple[Array, Problem]:
    # A picture is at least as large as its kernel; a scene is larger still.
    added = [
      (0, max(0, 2 * k - 1 - side))
      for side, k in zip(truth.shape, blur.kernel.shape, strict=False)
    ]
    truth = jnp.pad(truth, (*added, (0, 0)), mode='edge')
    rows, columns = blur.margin
    size = (truth.shape[0] - 2 * rows, truth.shape[1] - 2 * columns)
    own = make_blur(size, np.asarray(kernel))
    return truth, problem(own, _blur_again(key, own, truth, noise_std))

  last = max(_LAST, 1.5 * sigma)
  levels = Levels(
    falling(_FIRST, last, _NUM_STEPS),
    np.multiply(_GROUPS, last * 2 / 255),
    None,
    _SAMPLE * last * 2 / 255,
  )
  own = problem(blur, jax.device_put(image))

  def spread_of(key: Array, restored: RestoredScene) -> Spread:
    unseen = _UNSEEN * 2 / 255
    return Spread(
      std_of_smaller(key, own, restored, damage, levels, unseen=unseen)
    )

  found = estimate(
    key,
    own,
    spread_of,
    levels,
    num_samples=num_samples,
    progress=progress,
  )
  return from_std(
    np.asarray(blur.crop(found.scene)),
    found.std,
    samples=found.samples,
    found={'sigma': round(sigma, 2)},
  )


@jax.jit
def _blur_again(
  key: Array, blur: Blur, scene: Array, noise_std: Array
) -> Array:
  blurred = blur.apply(scene)
  return blurred + noise_std * jax.random.normal(key, blurred.shape)
