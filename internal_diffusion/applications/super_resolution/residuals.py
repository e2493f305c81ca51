"""Training pairs of samples: what the mean plane of an image misses, and where.

A plane's smaller versions are enlarged by the trained mean just as the plane
itself will be, with overlapping blocks averaged and the result projected, so
their residuals are distributed as those that samples must have. A pair is the
mean's pixels around a block, normalised, and the residual in the block.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion.applications.super_resolution import pairs as pairs_lib
from internal_diffusion.applications.super_resolution.blocks import (
  extract_blocks,
)
from internal_diffusion.applications.super_resolution.model import Upscaler
from internal_diffusion.applications.super_resolution.planes import (
  mean_plane,
  scale_plane,
)

Array = jax.Array

_NUM_ORIENTATIONS = 2  # Of the mean, fewer than in use, as there are many.
_MAX_PIXELS = 400_000  # Number of low pixels of all planes.
_MAX_PAIRS = 100_000
_MAX_DECAY = 2.0  # Octaves for each octave of size.


class EnlargedPlane(NamedTuple):
  """A smaller version of a plane, enlarged by the mean.

  Attributes:
    mean: Mean plane, [s h, s w].
    residual: True plane minus the mean plane, [s h, s w].
    low_size: Height and width of the part that is true, at most (h, w). Beyond
      it the low plane repeats its nearest pixel, so that all have one size.
  """

  mean: Array
  residual: np.ndarray
  low_size: tuple[int, int]


def enlarge_smaller_versions(
  upscaler: Upscaler, plane: np.ndarray
) -> list[EnlargedPlane]:
  """Smaller versions of a plane [H, W], enlarged by the mean."""
  factor = upscaler.factor
  found: list[EnlargedPlane] = []
  size, used = (0, 0), 0
  for low, high in pairs_lib.smaller_versions(
    plane, factor=factor, kernel=upscaler.kernel
  ):
    # The first one is the largest.
    size = size if found else low.shape
    used += size[0] * size[1]
    if found and used > _MAX_PIXELS:
      break
    beyond = [
      (0, most - side) for most, side in zip(size, low.shape, strict=True)
    ]
    mean = mean_plane(
      upscaler,
      jax.device_put(np.pad(low, beyond, mode='edge').astype(np.float32)),
      num_orientations=_NUM_ORIENTATIONS,
    )
    high = np.pad(high, [(0, factor * after) for _, after in beyond])
    residual = (high - np.asarray(mean)).astype(np.float32)
    found.append(EnlargedPlane(mean, residual, low.shape))
  return found


def residual_pairs(
  upscaler: Upscaler,
  enlarged: list[EnlargedPlane],
  *,
  scales: list[Array] | None = None,
  seed: int = 0,
) -> pairs_lib.UpscalingPairs:
  """Pairs of normalised means and residuals.

  Args:
    upscaler: The model, whose mean has enlarged the planes.
    enlarged: The planes.
    scales: Scale of each plane's residual; residuals are then in units of it.
      None is units of the contrast of the mean.
    seed: Seed of the random subset that fits a bounded memory.
  """
  factor = upscaler.factor
  reach, around = upscaler.residual_reach, upscaler.condition_reach
  rng = np.random.default_rng(seed)
  counts = [
    max(0, height - 2 * reach) * max(0, width - 2 * reach)
    for height, width in (plane.low_size for plane in enlarged)
  ]
  fraction = min(1.0, _MAX_PAIRS / sum(counts))
  sources: list[np.ndarray] = []
  targets: list[np.ndarray] = []
  for index, (plane, count) in enumerate(zip(enlarged, counts, strict=True)):
    kept = rng.permutation(count)[: int(np.ceil(fraction * count))]
    residual = jax.device_put(plane.residual)
    if scales is not None:
      residual = residual / scales[index]
    inside = tuple(slice(reach, side - reach) for side in plane.low_size)
    for blocks, to in (
      (extract_blocks(plane.mean, factor=factor, reach=around), sources),
      (extract_blocks(residual, factor=factor, reach=reach), targets),
    ):
      whole = np.asarray(blocks)[inside]
      to.append(whole.reshape(count, -1)[kept])
  target = np.concatenate(targets)
  source, contrast = map(
    np.asarray, pairs_lib.normalise(np.concatenate(sources))
  )
  if scales is None:
    target = target / contrast
  whitening = pairs_lib.fit_whitening(source)
  return pairs_lib.UpscalingPairs(
    source=jax.device_put(source),
    target=jax.device_put(target),
    cumulative=pairs_lib.cumulative_of(contrast),
    # The mean is what can be predicted.
    encoding=pairs_lib.SourceEncoding(
      jnp.zeros((source.shape[1], target.shape[1])), whitening
    ),
  )


def scale_decay(upscaler: Upscaler, enlarged: list[EnlargedPlane]) -> float:
  """How fast the residual's scale falls with the size of the image.

  The slope of log2(|residual| / predicted scale) over log2(size), with the sign
  turned round. The largest plane is left out where there are others: it is the
  photograph as its camera saw it, the others are downscaled and sharper.

  Args:
    upscaler: The model, with its residuals.
    enlarged: The planes that it was trained on, the largest first.

  Returns:
    Octaves for each octave of size, at least 0; 0 where all planes have one
    size.
  """
  by_size = {plane.low_size: plane for plane in reversed(enlarged)}
  largest = enlarged[0].low_size
  # Other phases of the largest plane are a pixel smaller.
  planes = [
    plane
    for size, plane in by_size.items()
    if all(side < most - 1 for side, most in zip(size, largest, strict=True))
  ]
  if len(planes) < 2:
    return 0.0
  octaves, ratios = [], []
  for plane in planes:
    inside = tuple(slice(0, upscaler.factor * side) for side in plane.low_size)
    scale = np.asarray(scale_plane(upscaler, plane.mean))[inside]
    octaves.append(np.log2(plane.low_size[0]))
    ratios.append(np.log2(np.abs(plane.residual[inside]).sum() / scale.sum()))
  slope, _ = np.polyfit(octaves, ratios, 1)
  return float(np.clip(-slope, 0, _MAX_DECAY))
