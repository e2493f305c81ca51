"""Guidance to a level of one photograph's pyramid.

The classes are three pyramid levels of gravel, halvings: stones are smooth
inside at the finest level and smaller than a patch at the coarsest. Some
patches may be of any level, so no classifier can be right about all. The
measure of a draw is therefore the share that the judge assigns to the level
asked for, beside the same share of real patches. (Photographs of scenes look
much alike at all scales: levels of coffee are told apart with an accuracy of
0.39, where chance is 0.33.) `class_guidance` says what is trained and compared.

The photograph is cut into vertical bands. Every second band is fitted, and the
judge learns the others.
"""

import jax.numpy as jnp
import numpy as np
import skimage.data

from internal_diffusion.data import patches
from internal_diffusion.data.pyramid import build_levels
from internal_diffusion.experiments.class_results import compare_guidance
from internal_diffusion.experiments.result import Result

_PATCH_SIZE = 11
_NUM_LEVELS = 3
_BAND = 128  # Width of a band, in pixels of the finest level.
_NUM_PATCHES = 6000  # Of each level.
_TOLERANCE = 0.02  # By which draws may fall short of real patches.


def run(seed: int, *, effort: float = 1.0, progress: bool = False) -> Result:
  """Trains on three levels, draws each of them under every guidance."""
  return compare_guidance(
    seed,
    level_patches(seed),
    lambda real_share: real_share - _TOLERANCE,
    shape=(_PATCH_SIZE, _PATCH_SIZE, 1),
    effort=effort,
    progress=progress,
  )


def level_patches(seed: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
  """By level, patches of the even and of the odd bands, [N, D] each.

  Patches across the border of two bands are left out. Each level has equally
  many, drawn at random with replacement.
  """
  image = skimage.data.gravel()[..., None].astype(np.float32) / 127.5 - 1
  sizes = [
    (image.shape[0] >> level, image.shape[1] >> level)
    for level in range(_NUM_LEVELS)
  ]
  rng = np.random.default_rng(seed)
  found = {}
  for level, pixels in enumerate(build_levels(jnp.asarray(image), sizes)):
    dense = np.asarray(patches.extract_patches(pixels, patch_size=_PATCH_SIZE))
    left = np.arange(dense.shape[1])
    band = left // (_BAND >> level)
    is_inside = (left + _PATCH_SIZE - 1) // (_BAND >> level) == band
    halves = [dense[:, is_inside & (band % 2 == parity)] for parity in (0, 1)]
    fitted, held_out = (
      rng.choice(half.reshape(-1, dense.shape[-1]), _NUM_PATCHES)
      for half in halves
    )
    found[f'level {level}'] = fitted, held_out
  return found
