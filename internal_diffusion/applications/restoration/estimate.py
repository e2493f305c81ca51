"""A picture restored by the loop, with its uncertainty and samples.

What deblurring and JPEG have in common. A problem is a first estimate of the
scene and what is known of it, and

1. the mean is the loop's result, denoised further by groups of similar patches:
   they find what recurs, which the mixture of Gaussians smooths;
2. the standard deviation comes from what is known of the damage, or else is
   learnt from a smaller picture, which is damaged and restored in the same way
   (`std_of_smaller`);
3. samples come from a mixture of Gaussians of the restored picture at a smaller
   size. Its patches resemble those of the picture (Glasner, Bagon & Irani 2009)
   and are sharp, so samples have the detail that the mean cannot have. Their
   distance from the mean is brought to the standard deviation of step 2, so
   flat ground stays flat.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion.applications.restoration.calibration import (
  Attempt,
  learn_std,
  local_mean,
)
from internal_diffusion.applications.restoration.loop import (
  restore_by_splitting,
)
from internal_diffusion.applications.restoration.mixture_prior import (
  MixtureImageDenoiser,
  fit_mixture_prior,
)
from internal_diffusion.applications.restoration.posterior_samples import (
  draw_samples,
)
from internal_diffusion.data.operators import Size
from internal_diffusion.data.resampling import resample
from internal_diffusion.denoisers.similar_patches import SimilarPatchesDenoiser
from internal_diffusion.sampling.constraints import Constraint

Array = jax.Array

_GROUPS = SimilarPatchesDenoiser(stride=6)
_STRIDE = 2  # Distance of the patches of a sample, in pixels.
_LARGE = 2**17  # Pixels of a picture whose mean has that distance too.
_SMALLER = 3  # Size of the picture over that which samples learn from.
_SMALLEST_SIDE = 48
# Window, in pixels, in which the distance of a sample from the mean is brought
# to the standard deviation.
_WINDOW = 2.0
_ROUNDING = 0.3 * 2 / 255  # Noise of 8 bits.


class Problem(NamedTuple):
  """A damaged picture.

  Attributes:
    first: First estimate of the scene, [H, W, C]; where the picture is, the
      damaged picture itself.
    constraint: What is known of the scene.
    margin: Rows and columns of the scene beyond each border of the picture.
  """

  first: Array
  constraint: Constraint
  margin: Size = (0, 0)

  def crop(self, scene: Array) -> Array:
    """The picture's part of scenes [..., H, W, C]."""
    (rows, columns), (height, width) = self.margin, scene.shape[-3:-1]
    inside = scene[..., rows : height - rows, :, :]
    return inside[..., columns : width - columns, :]


class Levels(NamedTuple):
  """Noise levels, in units of images in [-1, 1].

  Attributes:
    loop: Those of the loop, which fall, [T].
    groups: Those of the steps of similar patches after it.
    old: That of the damaged picture for a step of similar patches which are
      found in the loop's result; None for damage that is nothing like noise.
    sample: That at which samples start.
  """

  loop: np.ndarray
  groups: np.ndarray
  old: float | None
  sample: float


class Estimate(NamedTuple):
  """Scene [H, W, C]; standard deviation [h, w, C], samples [K, h, w, C]."""

  scene: Array
  std: np.ndarray
  samples: np.ndarray


class RestoredScene(NamedTuple):
  """A restored scene [H, W, C], and its posterior variance by the prior."""

  scene: Array
  variance: Array


class Spread(NamedTuple):
  """What is known of the error of a restored scene.

  Attributes:
    std: Its standard deviation in the picture, [h, w, C].
    most_gain: Largest factor of the distance of a sample from the mean.
    equalise: Changes the distance [H, W, C] of a sample from the mean after
      that; None leaves it.
  """

  std: np.ndarray
  most_gain: float = 1.0
  equalise: Callable[[Array], Array] | None = None


def estimate(
  key: Array,
  problem: Problem,
  spread_of: Callable[[Array, RestoredScene], Spread],
  levels: Levels,
  *,
  num_samples: int,
  progress: bool,
) -> Estimate:
  """Restores a picture.

  Args:
    key: One key.
    problem: The damaged picture.
    spread_of: `(key, restored) -> spread`.
    levels: Noise levels.
    num_samples: Number K of samples.
    progress: Whether to show progress bars.
  """
  loop_key, again_key, sample_key = jax.random.split(key, 3)
  found = _restore_scene(loop_key, problem, levels, progress=progress)
  scene, spread = found.scene, spread_of(again_key, found)
  if not num_samples:
    empty = np.empty((0, *spread.std.shape), np.float32)
    return Estimate(scene, spread.std, empty)
  drawn = draw_samples(
    sample_key,
    _sharp_prior(sample_key, scene),
    scene,
    num=num_samples,
    sigma=levels.sample,
    is_noisy=False,
    constraints=(problem.constraint,),
    progress=progress,
  )
  around = [(side, side) for side in problem.margin]
  wide = np.pad(spread.std, (*around, (0, 0)), mode='edge').astype(np.float32)
  wide = jax.device_put(wide)
  most = jax.device_put(np.float32(spread.most_gain))
  samples = []
  for sample in drawn:
    distance = _rescale(sample - scene, wide, most)
    if spread.equalise is not None:
      distance = spread.equalise(distance)
    scaled = _project(problem.constraint, scene + distance)
    samples.append(np.asarray(problem.crop(scaled)))
  return Estimate(scene, spread.std, np.stack(samples))


def std_of_smaller(
  key: Array,
  problem: Problem,
  restored: RestoredScene,
  damage: Callable[[Array, Array], tuple[Array, Problem]],
  levels: Levels,
  *,
  unseen: float,
) -> np.ndarray:
  """Standard deviation [h, w, C] learnt from a smaller picture.

  Args:
    key: One key.
    problem: The damaged picture.
    restored: Its restoration.
    damage: `(key, truth) -> (scene, problem)` damages a picture [h, w, C] in
      the same way; `scene` is the truth at the size of the problem's scene.
    levels: Noise levels.
    unseen: Standard deviation of the grain which the damage removes.
  """

  def inside(problem: Problem, found: RestoredScene) -> Attempt:
    scene, variance = found
    parts = map(problem.crop, (scene, problem.first, variance))
    return Attempt(*parts)

  def again(truth: Array) -> tuple[Array, Attempt]:
    damage_key, own_key = jax.random.split(key)
    truth, own = damage(damage_key, truth)
    return own.crop(truth), inside(own, _restore_scene(own_key, own, levels))

  return learn_std(inside(problem, restored), again, unseen=unseen)


def _restore_scene(
  key: Array, problem: Problem, levels: Levels, *, progress: bool = False
) -> RestoredScene:
  scene, prior = _restore(key, problem, levels, progress=progress)
  last = jax.device_put(np.float32(levels.loop[-1]))
  return RestoredScene(scene, _variance(prior, scene, last))


def _restore(
  key: Array, problem: Problem, levels: Levels, *, progress: bool = False
) -> tuple[Array, MixtureImageDenoiser]:
  """The restored scene and the prior of the loop's last steps."""
  constraints = (problem.constraint,)
  height, width, _ = problem.first.shape
  scene, prior = restore_by_splitting(
    key,
    problem.first,
    constraints,
    levels.loop,
    stride=_STRIDE if height * width >= _LARGE else 1,
    progress=progress,
  )
  if levels.old is not None:
    scene = (scene + _group_step(problem, problem.first, scene, levels.old)) / 2
  for sigma in levels.groups:
    scene = _group_step(problem, scene, scene, sigma)
  return scene, prior


def _group_step(
  problem: Problem, image: Array, guide: Array, sigma: float
) -> Array:
  level = jax.device_put(np.float32(sigma))
  return _denoise_groups(problem.constraint, image, guide, level)


@jax.jit
def _denoise_groups(
  constraint: Constraint, image: Array, guide: Array, sigma: Array
) -> Array:
  found = _GROUPS.combine(image[None], sigma, guide[None])
  return constraint.project(jax.random.key(0), found, image[None], sigma)[0]


@jax.jit
def _variance(prior: MixtureImageDenoiser, image: Array, sigma: Array) -> Array:
  """Posterior variance by the prior if the image had noise of `sigma`."""
  coarse = dataclasses.replace(prior, stride=_STRIDE)
  # The mean hides the grid of the patches.
  return local_mean(coarse.posterior(image[None], sigma)[1][0], 1.0)


@jax.jit
def _rescale(distance: Array, std: Array, most_gain: Array) -> Array:
  """The distance [H, W, C] of a sample from the mean, as large as expected."""
  wanted, found = (local_mean(x**2, _WINDOW) for x in (std, distance))
  ratio = jnp.sqrt(wanted / jnp.maximum(found, _ROUNDING**2))
  return jnp.minimum(ratio, most_gain) * distance


@jax.jit
def _project(constraint: Constraint, scene: Array) -> Array:
  """The nearest scene [H, W, C] that satisfies the constraint."""
  sigma = jnp.float32(0)
  return constraint.project(jax.random.key(0), scene[None], scene[None], sigma)[
    0
  ]


def _sharp_prior(key: Array, scene: Array) -> MixtureImageDenoiser:
  """A prior of the patches of a smaller version of the scene [H, W, C]."""
  size = _smaller(scene.shape[0]), _smaller(scene.shape[1])
  small = jnp.clip(resample(scene, size), -1, 1)
  return fit_mixture_prior(key, small, noise_std=_ROUNDING, stride=_STRIDE)


def _smaller(side: int) -> int:
  return min(side, max(_SMALLEST_SIDE, round(side / _SMALLER)))
