"""Statistics of generated clips against their reference clip.

Clips are floats [T, H, W, C] in [-1, 1]; a generated clip may have another
length and size than the reference. Patches are boxes of frames and pixels.

  nearest field        the reference patch that is nearest to each generated one
  field diversity      how little the field of nearest patches can be compressed
                       (NNFDIV, Nikankin et al. 2023, SinFusion): a copy at one
                       offset has nearly 0, sources in disorder have nearly 1
  field distance       mean distance to the nearest patch (NNFDIST)
  copied fraction      of the patches that copy the reference at one offset
  flicker              mean absolute second difference in time
  sliced Wasserstein   distance between the distributions of patches
"""

import zlib
from typing import NamedTuple

import jax
import numpy as np
from scipy.spatial import cKDTree

from internal_diffusion import arrays
from internal_diffusion.data.patches import check_patch_shape
from internal_diffusion.evaluation.distances import sliced_wasserstein

Array = jax.Array

PATCH_SHAPE = (3, 3, 3)
_WIDE_SHAPE = (3, 7, 7)
_NUM_COMPONENTS = 12
_MOST_REFERENCES = 150_000
# The nearest patch that is found is at most this much farther than the nearest.
_SLACK = 0.5
_TIE = 1e-6  # Distances this close differ by rounding only.
_NUM_SAMPLED = 10_000


class NearestField(NamedTuple):
  """The nearest reference patch of each generated one.

  Attributes:
    offset: Frame, row and column of the nearest patch minus those of the
      generated one, [t, h, w, 3].
    distance: Root mean square difference of both, [t, h, w].
    copied: Fraction of the patches for which the reference patch at the most
      frequent offset is as near as the nearest.
  """

  offset: np.ndarray
  distance: np.ndarray
  copied: float


def nearest_field(
  generated: np.ndarray,
  reference: np.ndarray,
  *,
  patch_shape: tuple[int, int, int] = PATCH_SHAPE,
) -> NearestField:
  """Finds the nearest reference patch of every generated one, approximately.

  Patches are compared in their principal components. Of a large reference, only
  every so many rows and columns are searched, and of a large generated clip
  as many.

  Args:
    generated: Generated clip, [T, H, W, C] in [-1, 1].
    reference: Reference clip, [T', H', W', C] in [-1, 1].
    patch_shape: Frames, rows and columns of a patch, odd.

  Raises:
    ValueError: If a patch does not fit a clip.
  """
  for clip in (generated, reference):
    if clip.ndim != 4:
      raise ValueError(f'A clip must be [T, H, W, C], got {clip.shape}.')
    check_patch_shape(patch_shape, clip.shape[:3])
  views = _windows(reference, patch_shape)
  step = int(np.ceil(np.sqrt(np.prod(views.shape[:3]) / _MOST_REFERENCES)))
  real = views[:, ::step, ::step]
  made = _windows(generated, patch_shape)[:, ::step, ::step]
  grids = real.shape[:3], made.shape[:3]
  reals, mades = (
    part.reshape(int(np.prod(grid)), -1)
    for part, grid in zip((real, made), grids, strict=True)
  )
  num = min(_NUM_COMPONENTS, *reals.shape)
  # The import takes time, which other uses of the package would wait for.
  from sklearn import decomposition

  pca = decomposition.PCA(num, random_state=0)
  pca.fit(reals[:: max(1, len(reals) // 20_000)])
  found = cKDTree(pca.transform(reals)).query(
    pca.transform(mades), eps=_SLACK, workers=-1
  )[1]
  distance = _rms(mades - reals[found])
  query = np.indices(grids[1]).reshape(3, -1).T
  offset = np.stack(np.unravel_index(found, grids[0]), -1) - query
  copied = _copied(offset, query, distance, mades, real)
  return NearestField(
    offset.reshape(*grids[1], 3), distance.reshape(grids[1]), copied
  )


def field_diversity(field: NearestField) -> float:
  """Size of the compressed field of offsets over that of the field."""
  data = field.offset.astype(np.int16).tobytes()
  return len(zlib.compress(data, 9)) / len(data)


def flicker(clip: np.ndarray) -> float:
  """Mean absolute second difference in time of a clip [T, H, W, C].

  Raises:
    ValueError: If there are fewer than three frames.
  """
  arrays.check_in_range('frames', len(clip), 3, np.inf)
  return float(np.mean(np.abs(np.diff(clip, n=2, axis=0))))


def clip_sliced_wasserstein(
  key: Array,
  generated: np.ndarray,
  reference: np.ndarray,
  *,
  num_patches: int = _NUM_SAMPLED,
) -> float:
  """Sliced 2-Wasserstein distance of random patches of two clips."""
  draw_key, key = jax.random.split(key)
  seed = int(jax.random.randint(draw_key, (), 0, 2**31 - 1))
  samples = []
  for clip in (generated, reference):
    views = _windows(clip, _WIDE_SHAPE)
    rng = np.random.default_rng(seed)
    places = tuple(rng.integers(0, n, num_patches) for n in views.shape[:3])
    samples.append(views[places].reshape(num_patches, -1))
  return sliced_wasserstein(key, *samples)


def compare_clips(
  key: Array,
  generated: np.ndarray,
  reference: np.ndarray,
  *,
  num_patches: int = _NUM_SAMPLED,
) -> dict[str, float]:
  """The figures of a generated clip, by name.

  The distance and the flicker are relative: to the distance between the halves
  of the reference, and to the flicker of the reference.
  """
  field = nearest_field(generated, reference)
  half = len(reference) // 2
  between, own = (
    clip_sliced_wasserstein(key, one, other, num_patches=num_patches)
    for one, other in (
      (reference[:half], reference[half:]),
      (generated, reference),
    )
  )
  return {
    'nnf_diversity': field_diversity(field),
    'nnf_distance': float(field.distance.mean()),
    'copied_fraction': field.copied,
    'sliced_wasserstein_over_halves': own / between,
    'flicker_over_reference': flicker(generated) / flicker(reference),
  }


def _windows(clip: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
  """Patches [t, h, w, C, *shape], a view."""
  clip = np.asarray(clip, np.float32)
  return np.lib.stride_tricks.sliding_window_view(clip, shape, (0, 1, 2))


def _rms(differences: np.ndarray) -> np.ndarray:
  return np.sqrt(np.mean(differences**2, axis=-1))


def _copied(
  offset: np.ndarray,
  query: np.ndarray,
  distance: np.ndarray,
  made: np.ndarray,
  real: np.ndarray,
) -> float:
  """Fraction of patches that the most frequent offset explains as well."""
  offsets, counts = np.unique(offset, axis=0, return_counts=True)
  there = query + offsets[counts.argmax()]
  inside = np.all((there >= 0) & (there < np.array(real.shape[:3])), axis=1)
  copies = real[tuple(there[inside].T)].reshape(int(inside.sum()), -1)
  own = _rms(made[inside] - copies)
  return float(np.sum(own <= distance[inside] + _TIE) / len(query))
