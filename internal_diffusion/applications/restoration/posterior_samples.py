"""Samples of the clean picture given what is known of it.

A picture with white noise of level sigma is a state of the diffusion at that
level. So the reverse process that starts there ends in a sample of the clean
picture given the noisy one (Kawar et al. 2021). For other damage it starts at
the restored picture with noise on it, and the constraints hold at every step.
The whole picture is drawn at once, so neighbouring patches agree.
"""

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from internal_diffusion.sampling.constraints import Constraint, project
from internal_diffusion.sampling.samplers import sample_euler_maruyama
from internal_diffusion.types import Denoiser

Array = jax.Array

# With few steps to a low last level, most of the posterior variance of broad
# directions is lost: of a Gaussian, DDIM leaves 0.4 of it, these steps all.
_NUM_STEPS, _LAST = 8, 1 / 8  # The last level above 0, over the first.


def draw_samples(
  key: Array,
  prior: Denoiser,
  image: Array,
  *,
  num: int,
  sigma: float,
  is_noisy: bool,
  constraints: tuple[Constraint, ...] = (),
  progress: bool = False,
) -> np.ndarray:
  """Draws pictures.

  Args:
    key: One key.
    prior: Denoiser of images [1, H, W, C].
    image: The noisy picture, or else the restored one, [H, W, C].
    num: Number K of samples.
    sigma: Noise level to start at, that of the noisy picture.
    is_noisy: Whether `image` has noise of that level.
    constraints: What is known of the picture.
    progress: Whether to show a progress bar.

  Returns:
    [K, H, W, C], not clipped.
  """
  path = np.append(np.geomspace(sigma, _LAST * sigma, _NUM_STEPS), 0)
  drawn = np.empty((num, *image.shape), np.float32)
  start = 0.0 if is_noisy else sigma
  for index in tqdm(
    range(num), desc='sampling', unit='sample', disable=not progress
  ):
    drawn[index] = _draw(
      jax.random.fold_in(key, index),
      prior,
      image,
      np.float32(start),
      path.astype(np.float32),
      constraints,
    )
  return drawn


@jax.jit
def _draw(
  key: Array,
  prior: Denoiser,
  image: Array,
  noise_std: Array,
  sigmas: Array,
  constraints: tuple[Constraint, ...],
) -> Array:
  start_key, key = jax.random.split(key)
  noise = jax.random.normal(start_key, image.shape)
  x = (image + noise_std * noise)[None]
  x = sample_euler_maruyama(key, prior, x, sigmas, constraints=constraints)
  # Once more, to remove rounding errors of the last step.
  return project(key, x, x, jnp.float32(0), constraints)[0]
