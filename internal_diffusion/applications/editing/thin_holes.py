"""Thin holes, scratches and text: what is missing is determined.

Every patch that touches the hole has many known pixels. A mixture of Gaussians
of the whole patches gives the posterior of the others,

  p(x_missing | x_known),

whose means are averaged over the patches with weights 1 / v, where v is the
mean posterior variance of a patch. Samples are averages of draws from the
posteriors, so they differ little.
"""

import jax
import numpy as np

from internal_diffusion.denoisers.masked_mixture import (
  MaskedMixture,
  from_gaussians,
)
from internal_diffusion.training.gaussian_mixture import fit_gaussian_mixture

Array = jax.Array

# Side of a patch by number of channels.
_PATCH_SIZES = {1: 9, 3: 7}
_NUM_COMPONENTS, _PER_COMPONENT = 30, 200
_RANK, _EM_STEPS = 24, 8
_MAX_PATCHES = 20_000
_NOISE = 2 * 1.0 / 255
_CHUNK = 4096


def fill_thin(
  key: Array, image: np.ndarray, mask: np.ndarray, *, num_samples: int
) -> np.ndarray:
  """Fills a picture's thin holes.

  Args:
    key: One key.
    image: [H, W, C].
    mask: True at missing pixels, [H, W].
    num_samples: Number K of fills.

  Returns:
    [K, H, W, C]; known pixels are those of the picture.

  Raises:
    ValueError: If no patch is known as a whole.
  """
  num_channels = image.shape[-1]
  size = _PATCH_SIZES.get(num_channels, 7)
  view = np.lib.stride_tricks.sliding_window_view
  windows = view(np.where(mask[..., None], 0, image), (size, size), (0, 1))
  seen = view(~mask, (size, size))
  is_whole = seen.all(axis=(2, 3))
  rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
  whole = np.argwhere(is_whole)
  if not len(whole):
    raise ValueError(
      f'`mask` must leave a whole patch of {size}x{size} pixels to learn from,'
      ' but it leaves none.'
    )
  chosen = rng.choice(len(whole), min(len(whole), _MAX_PATCHES), replace=False)
  vectors = windows[tuple(whole[chosen].T)].reshape(len(chosen), -1)
  num = max(1, min(_NUM_COMPONENTS, len(chosen) // _PER_COMPONENT))
  gaussians = fit_gaussian_mixture(
    key,
    jax.device_put(vectors),
    noise_std=_NOISE,
    num_components=num,
    num_steps=_EM_STEPS,
  )
  mixture = from_gaussians(gaussians, rank=_RANK, noise_std=_NOISE)
  touching = np.argwhere(~is_whole & seen.any(axis=(2, 3)))
  total = np.zeros((num_samples + 1, *image.shape))
  weights = np.zeros((*mask.shape, 1))
  corner = np.indices((size, size))
  for start in range(0, len(touching), _CHUNK):
    places = touching[start : start + _CHUNK]
    padded = np.resize(places, (_CHUNK, 2))
    x = windows[tuple(padded.T)].reshape(_CHUNK, -1)
    s = np.repeat(
      seen[tuple(padded.T)].reshape(_CHUNK, 1, -1), num_channels, axis=1
    ).reshape(_CHUNK, -1)
    found = _complete(mixture, x, s.astype(np.float32))
    mean, variance = (np.asarray(part)[: len(places)] for part in found)
    weight = 1 / variance.mean(axis=1)
    shape = (len(places), num_channels, size, size)
    mean = np.moveaxis(mean.reshape(shape), 1, -1)
    std = np.sqrt(np.moveaxis(variance.reshape(shape), 1, -1))
    rows = places[:, 0, None, None] + corner[0]
    columns = places[:, 1, None, None] + corner[1]
    w = weight[:, None, None, None]
    np.add.at(
      weights, (rows, columns), np.broadcast_to(w, (*mean.shape[:3], 1))
    )
    np.add.at(total[0], (rows, columns), w * mean)
    for index in range(num_samples):
      draw = mean + std * rng.standard_normal((len(places), 1, 1, num_channels))
      np.add.at(total[index + 1], (rows, columns), w * draw)
  average = total / np.maximum(weights, 1e-12)
  return np.where(mask[None, ..., None], average, image).astype(np.float32)


@jax.jit
def _complete(
  mixture: MaskedMixture, x: Array, seen: Array
) -> tuple[Array, Array]:
  found = mixture.complete(x, seen)
  return found.mean, found.variance
