"""Images from coarse to fine: each level keeps the low band of the one before.

At every level a sampler runs over the same grid of noise levels, from noise.
The finished coarser image is a constraint on the clean estimate,

  x0_hat <- up(coarse) + x0_hat - up(down(x0_hat)),

which leaves the denoiser the detail that the coarser level cannot hold. The
last step is left alone, so that the result is the denoiser's own.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion.types import ProjectFn

Array = jax.Array
# `resize_fn(image [..., H, W, C], size) -> [..., *size, C]`.
ResizeFn = Callable[[Array, tuple[int, int]], Array]


def linear_flow_sigmas(
  num_steps: int, *, sigma_max: float = 100.0
) -> np.ndarray:
  """Noise levels at even times of the flow x = (1 - t) x0 + t eps.

  sigma = t / (1 - t) for t from 1 to 1 / num_steps, then a last step from a
  level that is next to nothing: the clean image's own nearest patches.

  Args:
    num_steps: T, at least 2.
    sigma_max: Stands for the infinite first level.

  Returns:
    Decreasing, the last 0, [T+1].

  Raises:
    ValueError: If there are fewer than 2 steps.
  """
  if num_steps < 2:
    raise ValueError(f'`num_steps` must be at least 2, got {num_steps}.')
  time = np.linspace(1, 0, num_steps)[1:-1]
  inside = time / (1 - time)
  return np.array([sigma_max, *inside, 1e-3, 0.0], np.float32)


def resize(image: Array, size: tuple[int, int]) -> Array:
  """Antialiased cubic resampling of [..., H, W, C], linear: nothing clipped."""
  shape = (*image.shape[:-3], *size, image.shape[-1])
  return jax.image.resize(image, shape, 'cubic', antialias=True)


def resize_torus(image: Array, size: tuple[int, int]) -> Array:
  """The same where the opposite borders meet."""
  tiled = jnp.tile(image, (*(1,) * (image.ndim - 3), 3, 3, 1))
  height, width = size
  resized = resize(tiled, (3 * height, 3 * width))
  return resized[..., height : 2 * height, width : 2 * width, :]


def keep_low_band(
  coarse: Array, *, sigma_min: float | Array, resize_fn: ResizeFn = resize
) -> ProjectFn:
  """The constraint that a finished coarser image is, above a noise level.

  Args:
    coarse: [B, h, w, C].
    sigma_min: Level at which, and below which, the estimate is left alone.
    resize_fn: How to go from one size to another.
  """

  def project_fn(key: Array, x0_hat: Array, sigma: Array) -> Array:
    del key
    low = resize_fn(x0_hat, (coarse.shape[-3], coarse.shape[-2]))
    size = (x0_hat.shape[-3], x0_hat.shape[-2])
    kept = x0_hat + resize_fn(coarse - low, size)
    return jnp.where(sigma > sigma_min, kept, x0_hat)

  return project_fn


def keep_symmetric(axis: int) -> ProjectFn:
  """The constraint that an image is its own mirror image along an axis."""

  def project_fn(key: Array, x0_hat: Array, sigma: Array) -> Array:
    del key, sigma
    return (x0_hat + jnp.flip(x0_hat, axis)) / 2

  return project_fn


def all_of(project_fns: Sequence[ProjectFn]) -> ProjectFn | None:
  """Several constraints, one after the other; None if there is none."""
  if not project_fns:
    return None

  def project_fn(key: Array, x0_hat: Array, sigma: Array) -> Array:
    for function in project_fns:
      x0_hat = function(key, x0_hat, sigma)
    return x0_hat

  return project_fn
