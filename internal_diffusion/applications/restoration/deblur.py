"""Deblurring with a given kernel; `blind_kernel` estimates one.

The scene is larger than the picture by the kernel, and what lies outside is
unknown, so borders do not ring.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion import arrays
from internal_diffusion.applications.restoration.calibration import (
  Attempt,
  learn_std,
)
from internal_diffusion.applications.restoration.loop import (
  falling,
  restore_by_splitting,
)
from internal_diffusion.applications.restoration.posterior_samples import (
  draw_samples,
)
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
_FIRST, _LAST, _NUM_STEPS = 30.0, 3.0, 8
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
  keys = jax.random.split(key, 3)
  if sigma is None:
    sigma = estimate_noise(image).grey_levels
  arrays.check_in_range('sigma', sigma, 0, 255)
  sigma = max(float(sigma), _LEAST_NOISE)
  blur = make_blur(image.shape[:2], kernel)
  observed = jax.device_put(image)
  noise_std = jax.device_put(np.float32(2 * sigma / 255))
  constraint = LinearObservation(blur, observed, noise_std)
  sigmas = falling(_FIRST, max(_LAST, 1.5 * sigma), _NUM_STEPS)
  scene, prior = restore_by_splitting(
    keys[0],
    blur.interpolate(observed),
    [constraint],
    sigmas,
    progress=progress,
  )
  mean = blur.crop(scene)

  def restore_again(truth: Array) -> Attempt:
    # A picture is at least as large as its kernel; a scene is larger still.
    added = [
      (0, max(0, 2 * k - 1 - side))
      for side, k in zip(truth.shape, blur.kernel.shape, strict=False)
    ]
    truth = jnp.pad(truth, (*added, (0, 0)), mode='edge')
    rows, columns = blur.margin
    size = (truth.shape[0] - 2 * rows, truth.shape[1] - 2 * columns)
    own = make_blur(size, np.asarray(kernel))
    noise_key, own_key = jax.random.split(keys[1])
    damaged = _blur_again(noise_key, own, truth, noise_std)
    restored, _ = restore_by_splitting(
      own_key,
      own.interpolate(damaged),
      [LinearObservation(own, damaged, noise_std)],
      sigmas,
    )
    return Attempt(own.crop(truth), own.crop(restored), damaged)

  std = learn_std(mean, observed, restore_again)
  samples = draw_samples(
    keys[2],
    dataclasses.replace(prior, stride=2),
    scene,
    num=num_samples,
    sigma=float(sigmas[-1]),
    is_noisy=False,
    constraints=(constraint,),
    progress=progress,
  )
  return from_std(
    np.asarray(mean),
    std,
    samples=np.asarray(blur.crop(jnp.asarray(samples))),
    found={'sigma': round(sigma, 2)},
  )


@jax.jit
def _blur_again(
  key: Array, blur: Blur, scene: Array, noise_std: Array
) -> Array:
  blurred = blur.apply(scene)
  return blurred + noise_std * jax.random.normal(key, blurred.shape)
