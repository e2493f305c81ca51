"""Filling holes of a clip with what other frames show behind them.

A pixel of a hole has a candidate in every frame where its path (`tracks`) meets
a known pixel. The nearest few in time are averaged, without those far from
their median. What no frame shows is filled in one frame with the clip's own
patches (`editing.fill`), and the paths carry it to the others, so that it is
one thing in all frames.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from scipy import ndimage

from internal_diffusion import arrays
from internal_diffusion.applications import editing
from internal_diffusion.applications.video.filmed import Filmed
from internal_diffusion.applications.video.progress import make_bar
from internal_diffusion.applications.video.samples import (
  MovingErrors,
  project,
)
from internal_diffusion.applications.video.tracks import Steps, sample_at
from internal_diffusion.data.clip_io import Clip
from internal_diffusion.sampling.known_pixels import make_known_pixels

Array = jax.Array

_MOST_CANDIDATES = 4
_DECAY = 3.0  # Frames after which a candidate's weight has fallen to 1/e.
_REJECTED = 3.0  # Distance from the median, in its mean absolute deviations.
_NOISE = 0.01  # Standard deviation of a candidate at least.
_PERSISTENCE = 0.98  # Of an error along a path, whose candidates are the same.


class _Seen(NamedTuple):
  """What other frames show at pixels of a hole.

  Attributes:
    colour: Mean of the candidates, [N, C].
    std: Its standard deviation, [N].
    found: Mask of the pixels with a candidate, [N].
  """

  colour: np.ndarray
  std: np.ndarray
  found: np.ndarray


def fill(
  key: Array,
  clip: Clip,
  mask: np.ndarray,
  *,
  num_samples: int = 1,
  progress: bool = False,
) -> Filmed:
  """Fills holes of a clip; the known pixels stay as they are.

  Args:
    key: One key.
    clip: The clip.
    mask: True in the holes, [H, W] for all frames or [T, H, W].
    num_samples: Number K of answers. They differ by the uncertainty, most where
      no frame shows what is behind a hole.
    progress: Whether to show a progress bar.

  Returns:
    All frames; the mean is the first answer where no frame shows what is behind
    a hole. The uncertainty is 0 at known pixels.

  Raises:
    ValueError: If the mask does not fit the clip, or everything is missing.
  """
  arrays.check_in_range('num_samples', num_samples, 1, 1000)
  hole = check_holes(mask, clip)
  frames = clip.frames()
  steps = Steps(frames, ~hole)
  std = np.zeros(hole.shape, np.float32)
  unseen = np.zeros(hole.shape, bool)
  with make_bar(len(clip), 'fill', progress=progress) as bar:
    for index in range(len(clip)):
      if hole[index].any():
        unseen[index] = _fill_seen(steps, index, hole[index], frames, std)
      bar.update()
  found: dict[str, Any] = {
    'hole_fraction': float(hole.mean()),
    'unseen_fraction_of_hole': float(unseen.sum() / hole.sum()),
  }
  answers = np.repeat(frames[None], num_samples, axis=0)
  seen_std = std.copy()
  if unseen.any():
    num = int(unseen.sum())
    with make_bar(num, 'unseen', progress=progress) as bar:
      answers = _fill_unseen(key, answers, steps, unseen, bar.update)
    spread = answers.std(axis=0).mean(axis=-1)
    std[unseen] = np.maximum(spread, _NOISE)[unseen]
  mean = answers[0].copy()
  answers += seen_std[..., None] * _errors_along(key, mean, num_samples)
  samples = project(answers, [make_known_pixels(~hole, clip.frames())])
  return Filmed(mean, std, samples, clip.rate, found)


def _errors_along(
  key: Array, frames: np.ndarray, num_samples: int
) -> np.ndarray:
  """Errors of all frames, [K, T, H, W, C]; those of a path are alike."""
  errors = MovingErrors(jax.random.fold_in(key, 1), num_samples)
  drawn = [errors.following(frame, [], _PERSISTENCE) for frame in frames]
  return np.stack(drawn, axis=1)


def check_holes(mask: np.ndarray, clip: Clip) -> np.ndarray:
  """The mask of every frame, [T, H, W].

  Raises:
    ValueError: If it has another shape or type, or marks nothing or everything.
  """
  mask = np.asarray(mask)
  shape = (len(clip), *clip.size)
  if mask.dtype != bool or mask.shape not in (shape, shape[1:]):
    raise ValueError(
      f'`mask` must be bool {list(shape[1:])} or {list(shape)}, one for every'
      f' frame, got {mask.dtype} {list(mask.shape)}.'
    )
  hole = np.broadcast_to(mask, shape)
  if hole.all() or not hole.any():
    raise ValueError(
      '`mask` must be white at some pixels, which are missing, and black at'
      f' others; it is {"white" if hole.all() else "black"} everywhere.'
    )
  return hole


def _fill_seen(
  steps: Steps,
  index: int,
  hole: np.ndarray,
  frames: np.ndarray,
  std: np.ndarray,
) -> np.ndarray:
  """Fills what other frames show, in place; the mask of the rest, [H, W]."""
  points = np.argwhere(hole)
  seen = _look(steps, index, points)
  rows, columns = points[seen.found].T
  frames[index, rows, columns] = seen.colour[seen.found]
  std[index, rows, columns] = seen.std[seen.found]
  rest = np.zeros_like(hole)
  rest[tuple(points[~seen.found].T)] = True
  return rest


def _look(steps: Steps, index: int, points: np.ndarray) -> _Seen:
  """What the frames show at pixels [N, 2] of a frame."""
  num, channels = len(points), steps.frames.shape[-1]
  colours = np.zeros((num, 2 * _MOST_CANDIDATES, channels))
  weights = np.zeros((num, 2 * _MOST_CANDIDATES))
  for side, direction in enumerate((1, -1)):
    count = np.zeros(num, int)
    for other, where, inside in steps.follow(index, points, direction):
      is_known = sample_at(
        steps.known[other].astype(np.float32), where, order=1
      )
      usable = inside & (is_known > 0.99) & (count < _MOST_CANDIDATES)
      if usable.any():
        slot = side * _MOST_CANDIDATES + count[usable]
        colours[usable, slot] = _colours(steps.frames[other], where[usable])
        distance = abs(other - index)
        weights[usable, slot] = np.exp(-(distance - 1) / _DECAY) + 1e-9
        count[usable] += 1
      if np.all((count == _MOST_CANDIDATES) | ~inside):
        break
  return _agree(colours, weights)


def _colours(frame: np.ndarray, where: np.ndarray) -> np.ndarray:
  """Colours of a frame at positions [N, 2], [N, C]."""
  if np.all(where == np.round(where)):
    rows, columns = where.astype(int).T
    return frame[rows, columns]
  channels = [
    sample_at(frame[..., channel], where, order=3)
    for channel in range(frame.shape[-1])
  ]
  return np.stack(channels, axis=-1).clip(-1, 1)


def _agree(colours: np.ndarray, weights: np.ndarray) -> _Seen:
  """The mean of candidates [N, M, C] that agree with their median."""
  there = weights > 0
  hidden = np.where(there[..., None], colours, np.nan)
  found: np.ndarray = np.any(there, axis=1)
  hidden[~found] = 0
  median = np.nanmedian(hidden, axis=1, keepdims=True)
  distance = np.abs(colours - median).max(axis=-1)
  typical = np.nanmean(np.where(there, distance, np.nan)[found], axis=1)
  bound = np.full(len(colours), _NOISE)
  bound[found] = _REJECTED * np.maximum(typical, _NOISE)
  weights = np.where(distance <= bound[:, None], weights, 0)
  # With two candidates that differ, both are as far from the median.
  weights[weights.sum(axis=1) == 0] += 1e-9
  total = weights.sum(axis=1)
  mean = np.einsum('nm,nmc->nc', weights, colours) / total[:, None]
  spread = np.mean((colours - mean[:, None]) ** 2, axis=-1)
  variance = np.sum(weights * spread, axis=1) / total
  return _Seen(mean, np.sqrt(variance + _NOISE**2), found)


def _fill_unseen(
  key: Array,
  answers: np.ndarray,
  steps: Steps,
  unseen: np.ndarray,
  on_pixels: Callable[[int], object],
) -> np.ndarray:
  """Fills what no frame shows, [K, T, H, W, C]."""
  unseen = unseen.copy()
  num = len(answers)
  while unseen.any():
    index = int(unseen.sum(axis=(1, 2)).argmax())
    hole = unseen[index].copy()
    key, own = jax.random.split(key)
    filled = editing.fill(own, answers[0, index], hole, num_samples=num)
    answers[:, index][:, hole] = filled.samples[:, hole]
    on_pixels(int(hole.sum()))
    unseen[index] = False
    source = ndimage.binary_dilation(hole)
    for other in np.flatnonzero(unseen.any(axis=(1, 2))):
      points = np.argwhere(unseen[other])
      where = _position_in(steps, int(other), points, index)
      if where is None:
        continue
      reached = sample_at(source.astype(np.float32), where, order=1) > 0.5
      rows, columns = points[reached].T
      for answer in answers:
        answer[other, rows, columns] = _colours(answer[index], where[reached])
      unseen[other, rows, columns] = False
      on_pixels(len(rows))
  return answers


def _position_in(
  steps: Steps, index: int, points: np.ndarray, wanted: int
) -> np.ndarray | None:
  """Where pixels [N, 2] of a frame are in another, [N, 2]."""
  direction = 1 if wanted > index else -1
  for other, where, _ in steps.follow(index, points, direction):
    if other == wanted:
      return where
  return None
