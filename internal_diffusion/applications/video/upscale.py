"""Upscaling of a clip in space, with evidence from the frames beside each.

Every frame is interpolated, and so are its neighbours, which the motion moves
onto it: other samples of the same detail. Together with what sharpens, they are
the evidence. The clip at a coarser scale has a truth, the clip itself: from it,
the weights are learnt (`weights`), and used at the finer scale. Then the frame
is moved to the nearest one that becomes the given frame when it is made smaller
(`sampling.constraints.LinearObservation`).
"""

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np
from scipy import ndimage

from internal_diffusion import arrays
from internal_diffusion.applications.video import weights
from internal_diffusion.applications.video.evidence import Evidence
from internal_diffusion.applications.video.filmed import Filmed
from internal_diffusion.applications.video.motion import (
  find_motion,
  warp_along,
)
from internal_diffusion.applications.video.progress import make_bar
from internal_diffusion.applications.video.samples import (
  MovingErrors,
  persistence,
  project,
)
from internal_diffusion.data.clip_io import Clip, to_samples
from internal_diffusion.data.downscaling import (
  Downscaling,
  make_downscaling,
  scaled_size,
)
from internal_diffusion.data.resampling import resample
from internal_diffusion.jax_settings import with_own_settings
from internal_diffusion.sampling.constraints import LinearObservation

Array = jax.Array

_OFFSETS = (-1, 1, -2, 2)  # Of the neighbours, in frames.
_BLURS = (0.7, 1.4, 2.8)  # Of what sharpens, in pixels of the coarser image.
_WINDOW = 3.0  # Of the motion, in pixels of the coarser image.
_NUM_EXAMPLES = 6
_NUM_COMPARED = 2  # Number of frames that tell how detail falls with scale.
_CAUTION = 0.6  # Power of the ratio: finer scales also show noise.
_ROUNDING = 2 / 255 / np.sqrt(12)  # Noise of the given frames' 8 bits.
_FrameFn = Callable[[int], np.ndarray]


class _Scale(NamedTuple):
  """Frames of one size, and their interpolation to the next finer one."""

  frame_fn: _FrameFn
  num_frames: int
  operator: Downscaling
  factor: float

  def enlarged(self, index: int) -> np.ndarray:
    """A frame, interpolated."""
    low = jax.device_put(self.frame_fn(index))
    return np.asarray(self.operator.interpolate(low))

  def evidence(self, index: int) -> Evidence:
    """Evidence of the finer frame."""
    base = self.enlarged(index)
    features, squares = [], []
    for offset in _OFFSETS:
      # At the clip's ends, its frames are mirrored.
      other = index + offset
      if not 0 <= other < self.num_frames:
        other = index - offset
      if not 0 <= other < self.num_frames or other == index:
        features.append(np.zeros_like(base))
        continue
      moved = self.enlarged(other)
      velocity = find_motion(
        base, moved, times=(0, 1), window=_WINDOW * self.factor
      )
      moved, inside = warp_along(moved, velocity, 1)
      features.append(np.where(inside[..., None], moved - base, 0))
      squares.append(np.mean(features[-1] ** 2, axis=-1))
    for blur in _BLURS:
      sigma = blur * self.factor
      smooth = ndimage.gaussian_filter(base, (sigma, sigma, 0), mode='nearest')
      features.append(smooth - base)
    detail = np.mean(features[-len(_BLURS)] ** 2, axis=-1)
    between = np.mean(squares, axis=0) if squares else np.zeros_like(detail)
    return Evidence(
      base, np.stack(features, -1), np.stack([between, detail], -1)
    )


@with_own_settings
def upscale(
  key: Array,
  clip: Clip,
  *,
  factor: float = 2.0,
  num_samples: int = 0,
  progress: bool = False,
) -> Filmed:
  """Upscales a clip, with samples and uncertainty.

  Args:
    key: One key.
    clip: The clip.
    factor: Ratio of the result's side to the clip's, from 1.1 to 4.
    num_samples: Number K of samples.
    progress: Whether to show a progress bar.

  Raises:
    ValueError: If an argument is out of range, or the clip is too small.
  """
  arrays.check_in_range('factor', factor, 1.1, 4)
  arrays.check_in_range('num_samples', num_samples, 0, 1000)
  size = scaled_size(clip.size, factor)
  smaller = (round(clip.size[0] / factor), round(clip.size[1] / factor))
  if min(smaller) < 16:
    raise ValueError(
      f'`clip` of {clip.size[1]}x{clip.size[0]} is too small for `factor`'
      f' {factor:g}: its sides must be {16 * factor:g} pixels or more.'
    )
  num_examples = len(_examples_of(clip))
  bar = make_bar(num_examples + len(clip), 'frames', progress=progress)
  fitted, rho = _learn(clip, smaller, factor, bar.update)
  operator = make_downscaling(clip.size, size)
  scale = _Scale(clip.frame, len(clip), operator, factor)
  mean = np.empty((len(clip), *size, clip.pixels.shape[-1]), np.float32)
  std = np.empty(mean.shape[:-1], np.float32)
  samples = np.empty((num_samples, *mean.shape), np.float32)
  errors = MovingErrors(key, num_samples)
  for index in range(len(clip)):
    evidence = scale.evidence(index)
    mean[index] = _given(
      operator, clip.frame(index), fitted.apply(evidence, 1.0)
    )
    std[index] = fitted.model.std(evidence)
    if num_samples:
      drawn = errors.following(mean[index], fitted.errors, rho)
      estimates = mean[index] + std[index][..., None] * drawn
      samples[:, index] = _given(operator, clip.frame(index), estimates)
    bar.update()
  bar.close()
  return Filmed(mean, std, samples, clip.rate, {'size': list(size)})


def _examples_of(clip: Clip) -> np.ndarray:
  """Frames to learn from: pairs of neighbours, which tell how errors go on."""
  first = np.linspace(0, len(clip) - 2, _NUM_EXAMPLES // 2).astype(int)
  return np.unique([first, first + 1])


def _learn(
  clip: Clip,
  smaller: tuple[int, int],
  factor: float,
  on_part: Callable[[], object],
) -> tuple[weights.Fitted, float]:
  """Weights and error at the finer scale, learnt at the coarser one.

  The number is the persistence of errors from a frame to the next.
  """
  operator = make_downscaling(smaller, clip.size)

  def coarse_frame(index: int) -> np.ndarray:
    low = np.asarray(operator.apply(jax.device_put(clip.frame(index))))
    return to_samples(low).astype(np.float32) / 127.5 - 1

  scale = _Scale(coarse_frame, len(clip), operator, factor)
  chosen = _examples_of(clip)
  evidence = []
  for index in chosen:
    evidence.append(scale.evidence(int(index)))
    on_part()
  truths = [clip.frame(int(index)) for index in chosen]
  sums = [
    weights.normal_equations(own, truth)
    for own, truth in zip(evidence, truths, strict=True)
  ]
  fitted = weights.fit(evidence, sums, truths)
  size = scaled_size(clip.size, factor)
  # Variances, so the square of the ratio.
  finer = _finer_over_coarser(truths, smaller) ** (2 * _CAUTION)
  model = fitted.model._replace(
    nearby=_stretch(fitted.model.nearby, size),
    shares=finer * fitted.model.shares,
  )
  looks = fitted.errors
  pairs = [i for i in range(len(chosen) - 1) if chosen[i + 1] == chosen[i] + 1]
  rho = np.mean(
    [
      persistence((truths[i], looks[i]), (truths[i + 1], looks[i + 1]))
      for i in pairs
    ]
  )
  stretched = _stretch(fitted.weights, size)
  return weights.Fitted(stretched, model, looks), float(rho)


def _finer_over_coarser(
  frames: Sequence[np.ndarray], smaller: tuple[int, int]
) -> float:
  """How much detail is lost at a scale over that at the next coarser one.

  Detail is what interpolation does not bring back from the smaller size. The
  ratio goes on to the finer scale, of which nothing is known.
  """
  height, width = frames[0].shape[:2]
  smallest = (
    round(smaller[0] ** 2 / height),
    round(smaller[1] ** 2 / width),
  )
  sizes = [(height, width), smaller, smallest]
  lost = []
  for fine, coarse in itertools.pairwise(sizes):
    operator = make_downscaling(coarse, fine)
    errors = []
    for frame in frames[:_NUM_COMPARED]:
      high = resample(jax.device_put(frame), fine)
      errors.append(operator.interpolate(operator.apply(high)) - high)
    lost.append(float(np.mean(np.square(errors))))
  return float(np.sqrt(min(lost[0] / max(lost[1], 1e-9), 1.0)))


def _stretch(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
  """Values of places [h, w, ...] at a larger size."""
  zoom = [new / old for new, old in zip(size, values.shape[:2], strict=True)]
  zoom += [1] * (values.ndim - 2)
  return ndimage.zoom(values, zoom, order=1, grid_mode=True, mode='nearest')


def _given(
  operator: Downscaling, low: np.ndarray, estimate: np.ndarray
) -> np.ndarray:
  """Estimates [..., H, W, C], moved to what the given frame allows."""
  noise = jax.device_put(np.float32(_ROUNDING))
  constraint = LinearObservation(operator, jax.device_put(low), noise)
  return project(estimate, [constraint])
