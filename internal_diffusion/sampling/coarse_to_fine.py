"""Images from coarse to fine: each level keeps the low band of the one before.

The coarsest level is sampled from noise, or from a given picture with noise on
it. Every finer one begins with the finished coarser image, enlarged, with noise
that hides no more than its missing detail; and the coarser image stays a
constraint on the clean estimate,

  x0_hat <- up(coarse) + x0_hat - up(down(x0_hat)),

which leaves the denoiser the detail that the coarser level cannot hold. The
last step is left alone, so that the result is the denoiser's own.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion.data.pyramid import resample
from internal_diffusion.sampling import full_image
from internal_diffusion.sampling.samplers import sample_euler
from internal_diffusion.types import BoundDenoiseFn, ProjectFn

Array = jax.Array
# `resize_fn(image [..., H, W, C], size) -> [..., *size, C]`.
ResizeFn = Callable[[Array, tuple[int, int]], Array]

FROM_NOISE = 100.0  # Noise level that stands for noise alone.


# `denoise_fn(params, coarse, x, sigma) -> denoised` of images [B, H, W, C]; the
# finished coarser level is [B, h, w, C], None at the coarsest.
LevelDenoiseFn = Callable[[Any, Array | None, Array, Array], Array]


class Level(NamedTuple):
  """What makes one level of an image.

  Attributes:
    denoise_fn: The same object for all images of one size, or it is compiled
      again.
    params: What it has learnt, or looks up.
    sigma_max: Noise on the enlarged coarser level that it begins with.
    step_share: Number of its steps over that of a usual level.
  """

  denoise_fn: LevelDenoiseFn
  params: Any
  sigma_max: float
  step_share: float


def linear_flow_sigmas(
  num_steps: int, *, sigma_max: float = FROM_NOISE
) -> np.ndarray:
  """Noise levels at even times of the flow x = (1 - t) x0 + t eps.

  sigma = t / (1 - t) from sigma_max down, then a last step from a level that is
  next to nothing: the clean image's own nearest patches.

  Args:
    num_steps: T, at least 2.
    sigma_max: The first level.

  Returns:
    Decreasing, the last 0, [T+1].

  Raises:
    ValueError: If there are fewer than 2 steps.
  """
  if num_steps < 2:
    raise ValueError(f'`num_steps` must be at least 2, got {num_steps}.')
  time = np.linspace(sigma_max / (1 + sigma_max), 0, num_steps)[:-1]
  return np.array([*time / (1 - time), 1e-3, 0.0], np.float32)


def resize_torus(image: Array, size: tuple[int, int]) -> Array:
  """`pyramid.resample` where the opposite borders meet."""
  tiled = jnp.tile(image, (*(1,) * (image.ndim - 3), 3, 3, 1))
  height, width = size
  resized = resample(tiled, (3 * height, 3 * width))
  return resized[..., height : 2 * height, width : 2 * width, :]


def keep_low_band(
  coarse: Array, *, sigma_min: float | Array, resize_fn: ResizeFn = resample
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


def sample_levels(
  key: Array,
  levels: Sequence[Level],
  sizes: Sequence[tuple[int, int]],
  *,
  num_channels: int,
  num_steps: int = 10,
  begin: Array | None = None,
  begin_sigma: float = FROM_NOISE,
  patch_size: int,
  torus: bool = False,
  mirrored: int | None = None,
) -> list[Array]:
  """Samples an image, level by level.

  Args:
    key: One key.
    levels: Coarsest first.
    sizes: (height, width) of each.
    num_channels: C.
    num_steps: Noise levels of a level, times its `step_share`.
    begin: A picture [B, h, w, C] that the coarsest level begins with, resized;
      None is noise alone, B = 1.
    begin_sigma: Noise on it.
    patch_size: How far the denoisers look, for a torus.
    torus: Whether opposite borders meet.
    mirrored: Axis, 0 or 1, along which the image is its own mirror image.

  Returns:
    The image at all levels, [B, H, W, C], coarsest first.
  """
  coarse: Array | None = None
  made: list[Array] = []
  for index, (level, size) in enumerate(zip(levels, sizes, strict=True)):
    sigmas = linear_flow_sigmas(
      max(2, round(level.step_share * num_steps)),
      sigma_max=level.sigma_max if index else begin_sigma,
    )
    coarse = _sample_level(
      jax.random.fold_in(key, index),
      level.params,
      begin if index == 0 else coarse,
      coarse,
      jnp.asarray(sigmas),
      denoise_fn=level.denoise_fn,
      shape=(*size, num_channels),
      margin=patch_size + patch_size % 2 if torus else 0,
      mirrored=mirrored,
    )
    made.append(coarse)
  return made


@functools.partial(
  jax.jit, static_argnames=('denoise_fn', 'shape', 'margin', 'mirrored')
)
def _sample_level(
  key: Array,
  params: Any,
  begin: Array | None,
  coarse: Array | None,
  sigmas: Array,
  *,
  denoise_fn: LevelDenoiseFn,
  shape: tuple[int, int, int],
  margin: int,
  mirrored: int | None,
) -> Array:
  """One level [B, *shape]; `margin` is 0 unless opposite borders meet."""
  resize_fn = resize_torus if margin else resample
  num = 1 if begin is None else len(begin)
  noise = jax.random.normal(key, (num, *shape))
  seen = coarse
  if margin and coarse is not None:
    seen = full_image.pad_torus(coarse, margin // 2)

  def whole_fn(x: Array, sigma: Array) -> Array:
    return denoise_fn(params, seen, x, sigma)

  bound_fn: BoundDenoiseFn = whole_fn
  if margin:
    bound_fn = full_image.wrap_around(whole_fn, margin=margin)
  project_fns: list[ProjectFn] = []
  if coarse is not None:
    project_fns.append(
      keep_low_band(coarse, sigma_min=sigmas[-2], resize_fn=resize_fn)
    )
  if mirrored is not None:
    noise = (noise + jnp.flip(noise, 1 + mirrored)) / np.sqrt(2)
    project_fns.append(keep_symmetric(1 + mirrored))
  x = sigmas[0] * noise
  if begin is not None:
    x += resize_fn(begin, shape[:2])
  x = sample_euler(key, bound_fn, x, sigmas, project_fn=all_of(project_fns))
  if mirrored is None:
    return x
  # Once more, against rounding.
  return keep_symmetric(1 + mirrored)(key, x, sigmas[-1])
