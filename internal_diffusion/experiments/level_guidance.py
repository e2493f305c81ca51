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

import functools

import jax.numpy as jnp
import numpy as np
import skimage.data

from internal_diffusion.data import patches
from internal_diffusion.data.pyramid import build_levels
from internal_diffusion.experiments import class_guidance
from internal_diffusion.experiments.result import Result
from internal_diffusion.experiments.training import scaled

_PATCH_SIZE = 11
_NUM_LEVELS = 3
_BAND = 128  # Width of a band, in pixels of the finest level.
_NUM_PATCHES = 6000  # Of each level.
_NUM_SAMPLES = 512  # Of each level.
_TOLERANCE = 0.02  # By which draws may fall short of real patches.


def run(seed: int, *, effort: float = 1.0, progress: bool = False) -> Result:
  """Trains on three levels, draws each of them under every guidance."""
  fitted, held_out = level_patches(seed)
  models = class_guidance.train(
    fitted, held_out, seed, effort=effort, progress=progress
  )
  num = scaled(_NUM_SAMPLES, effort, at_least=64)
  drawn = class_guidance.draw_all(seed, models, fitted, num)
  real_share = class_guidance.share(models.judge, fitted)
  return Result(
    measures=class_guidance.measures(
      drawn, real_share=real_share, at_least=real_share - _TOLERANCE
    ),
    samples={f'drawn: {name}': found.vectors for name, found in drawn.items()},
    pictures={
      'trade_off': (
        functools.partial(class_guidance.trade_off, drawn, real_share),
        'Fidelity to a pyramid level, and diversity.',
      ),
      'patches': (
        functools.partial(
          class_guidance.class_patches,
          drawn,
          fitted,
          tuple(f'level {level}' for level in range(_NUM_LEVELS)),
          shape=(_PATCH_SIZE, _PATCH_SIZE, 1),
        ),
        'Patches of three pyramid levels by guidance, beside real ones.',
      ),
    },
  )


def level_patches(seed: int) -> tuple[np.ndarray, np.ndarray]:
  """Patches of the even and of the odd bands of three levels, [L, N, D] each.

  Patches across the border of two bands are left out. Each level has equally
  many, drawn at random with replacement.
  """
  image = skimage.data.gravel()[..., None].astype(np.float32) / 127.5 - 1
  sizes = [
    (image.shape[0] >> level, image.shape[1] >> level)
    for level in range(_NUM_LEVELS)
  ]
  rng = np.random.default_rng(seed)
  parts: list[list[np.ndarray]] = [[], []]
  for level, pixels in enumerate(build_levels(jnp.asarray(image), sizes)):
    dense = np.asarray(patches.extract_patches(pixels, patch_size=_PATCH_SIZE))
    left = np.arange(dense.shape[1])
    band = left // (_BAND >> level)
    is_inside = (left + _PATCH_SIZE - 1) // (_BAND >> level) == band
    for parity, part in enumerate(parts):
      of_part = dense[:, is_inside & (band % 2 == parity)]
      vectors = of_part.reshape(-1, dense.shape[-1])
      part.append(vectors[rng.integers(len(vectors), size=_NUM_PATCHES)])
  fitted, held_out = (np.stack(part) for part in parts)
  return fitted, held_out
