"""Estimates of frames that a clip does not have, with their uncertainty.

A frame is estimated from the known frames around it, which lie at some offsets
in time. Where known frames of the clip have known frames at the same offsets,
or at s times these, they tell how good each piece of evidence is: their truth
is known. The weights are learnt from these examples (`weights`); each example
is judged by weights that were learnt without it.

How motion goes on is the same in all examples, so an error at s times the
offsets is larger. By how much is measured on the clip too: where an error grows
like offset^p from s to 2 s, the error here is s^-p times that of the examples.
The weights correct errors, so at the offsets themselves 1 / s of them is used,
and only the two nearest frames. The examples are also moved by other
fractions of a pixel than the frame is, by which errors differ (`subpixel`).
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from internal_diffusion.applications.video import samples, weights
from internal_diffusion.applications.video.evidence import Evidence, gather
from internal_diffusion.applications.video.subpixel import half_pixel_variance

_MOST_EXAMPLES = 8
_FEWEST_EXAMPLES = 2
_MOST_PIXELS = 2_500_000  # Of all examples together.
_MOST_FOR_GROWTH = 3  # Number of frames that measure the growth of errors.
_SCALES = (1, 2, 3, 4)  # Numbers s of which offsets can be multiples.
_MOST_GROWTH = 1.5  # Bound on p.
_MOST_FOR_PERSISTENCE = 1  # Number of pairs of examples that measure it.
_PERSISTENCE = 0.5  # Where no examples measure it.
_CAUTION = 0.6  # Factor of p: finer steps also show what coarser ones hide.


class Estimate(NamedTuple):
  """A frame and its uncertainty.

  Attributes:
    mean: Estimate of least expected squared error, [H, W, C] in [-1, 1].
    std: Standard deviation of its error in a channel, [H, W].
    time: Time of the frame.
    scale: Steps of the examples over those of the frame.
    errors: Errors of the examples over their standard deviations, [H, W, C]
      each, by the times of the examples: how an error looks, for samples.
  """

  mean: np.ndarray
  std: np.ndarray
  time: float
  scale: int
  errors: dict[int, np.ndarray]


class _Example(NamedTuple):
  evidence: Evidence
  sums: weights.Sums
  truth: np.ndarray


class FrameEstimator:
  """Estimates frames at any time from the frames of a clip.

  Evidence of examples is kept, because neighbouring frames share it.
  """

  def __init__(
    self, frame: Callable[[int], np.ndarray], times: Sequence[int]
  ) -> None:
    """Prepares the estimation.

    Args:
      frame: Gives the known frame of an index, [H, W, C] in [-1, 1].
      times: Times of the known frames, increasing integers.
    """
    self._frame = frame
    self._index = {time: index for index, time in enumerate(times)}
    self._kept: dict[tuple, _Example] = {}
    self._growths: dict[tuple, float] = {}
    self._persistence = _PERSISTENCE
    num_pixels = frame(0).shape[0] * frame(0).shape[1]
    self._num_examples = int(
      np.clip(_MOST_PIXELS // num_pixels, _FEWEST_EXAMPLES, _MOST_EXAMPLES)
    )

  def estimate(
    self,
    time: float,
    neighbours: Sequence[int],
    on_part: Callable[[float], object] = lambda part: None,
  ) -> Estimate:
    """The frame at a time.

    Args:
      time: Its time.
      neighbours: Times of the known frames to use, two or more, the nearest
        two first.
      on_part: Called with every part of the work that is done; parts of one
        estimate add up to 1 at most.
    """
    offsets = [neighbour - time for neighbour in neighbours]
    scale, own, centres = self._centres_of(time, offsets)
    if (len(centres) < 2 or scale > 1) and len(offsets) > 2:
      return self.estimate(time, neighbours[:2], on_part)
    examples = []
    for centre in centres:
      examples.append(self._example(centre, own))
      on_part(1 / (len(centres) + 1))
    evidence = gather([self._at(t) for t in neighbours], offsets)
    if not examples:
      model = weights.without_examples(evidence)
      return Estimate(evidence.base, model.std(evidence), time, scale, {})
    fitted = weights.fit(
      [one.evidence for one in examples],
      [one.sums for one in examples],
      [one.truth for one in examples],
    )
    growth = self._growth(offsets, scale) if scale > 1 else 0.0
    std = scale**-growth * fitted.model.std(evidence)
    if scale > 1:
      std = _with_fractions(std, evidence, [one.evidence for one in examples])
    return Estimate(
      fitted.apply(evidence, 1 / scale),
      std,
      time,
      scale,
      dict(zip(centres, fitted.errors, strict=True)),
    )

  def persistence(self, first: Estimate, second: Estimate) -> float:
    """Correlation of the errors of two estimates along the motion.

    It is that of the errors of examples that lie to each other as the two do.
    Where there are none, that of other estimates, which is passed on.
    """
    scale = second.scale
    gap = round(scale * (second.time - first.time))
    pairs = [
      (centre - gap, centre)
      for centre in second.errors
      if scale == first.scale and centre - gap in first.errors
    ]
    found = [
      samples.persistence(
        (self._at(before), first.errors[before]),
        (self._at(after), second.errors[after]),
      )
      for before, after in pairs[:_MOST_FOR_PERSISTENCE]
    ]
    if found:
      self._persistence = float(np.mean(found))
    return self._persistence

  def _at(self, time: int) -> np.ndarray:
    return self._frame(self._index[time])

  def _centres_of(
    self, time: float, offsets: Sequence[float]
  ) -> tuple[int, tuple[int, ...], list[int]]:
    """The scale s, the offsets of examples, and the nearest examples' times."""
    for scale in _fitting_scales(offsets):
      own = tuple(round(scale * offset) for offset in offsets)
      centres = self._centres(own, time)[: self._num_examples]
      if centres:
        return scale, own, centres
    return 1, (), []

  def _centres(self, offsets: Sequence[int], time: float) -> list[int]:
    """Known times whose neighbours at the offsets are known, nearest first."""
    found = [
      centre
      for centre in self._index
      if all(centre + offset in self._index for offset in offsets)
    ]
    return sorted(found, key=lambda centre: abs(centre - time))

  def _example(self, centre: int, offsets: tuple[int, ...]) -> _Example:
    name = (centre, offsets)
    if name not in self._kept:
      frames = [self._at(centre + offset) for offset in offsets]
      evidence, truth = gather(frames, offsets), self._at(centre)
      sums = weights.normal_equations(evidence, truth)
      while len(self._kept) >= 2 * self._num_examples:
        self._kept.pop(next(iter(self._kept)))
      self._kept[name] = _Example(evidence, sums, truth)
    return self._kept[name]

  def _growth(self, offsets: Sequence[float], scale: int) -> float:
    """The power p by which errors grow with the offsets, in [0, 1.5]."""
    name = (*offsets, scale)
    if name not in self._growths:
      self._growths[name] = self._measure_growth(offsets, scale)
    return self._growths[name]

  def _measure_growth(self, offsets: Sequence[float], scale: int) -> float:
    sizes = []
    for factor in (scale, 2 * scale):
      own = tuple(round(factor * offset) for offset in offsets[:2])
      centres = self._centres(own, 0)
      if not centres:
        return 0.0
      step = -(-len(centres) // _MOST_FOR_GROWTH)
      squares = []
      for centre in centres[::step]:
        frames = [self._at(centre + offset) for offset in own]
        error = gather(frames, own).base - self._at(centre)
        squares.append(np.mean(error**2))
      sizes.append(np.mean(squares))
    growth = _CAUTION * np.log2(sizes[1] / max(sizes[0], 1e-12)) / 2
    return float(np.clip(growth, 0, _MOST_GROWTH))


def _with_fractions(
  std: np.ndarray, evidence: Evidence, examples: Sequence[Evidence]
) -> np.ndarray:
  """The error at the frame's own fractions of a pixel, [H, W].

  The error of interpolation at the frame's fractions takes the place of that at
  the examples' fractions. If the examples have no other error, theirs and the
  frame's are to each other as the fractions' weights: no less is left.

  Args:
    std: Error at the examples' fractions, [H, W].
    evidence: Evidence of the frame.
    examples: Evidence of the examples.
  """
  own = evidence.fractions
  seen = np.mean([one.fractions for one in examples], axis=0)
  half = half_pixel_variance(evidence.base)
  variance = std**2 + np.sum((own - seen) * half, axis=-1)
  ratio = own.sum(axis=-1) / (seen.sum(axis=-1) + 1e-6)
  return np.sqrt(np.maximum(variance, ratio.clip(0, 1) * std**2))


def _fitting_scales(offsets: Sequence[float]) -> list[int]:
  """Numbers by which offsets are nearly integers, the best one first."""
  found = []
  for scale in _SCALES:
    exact = [scale * offset for offset in offsets]
    rounded = [round(offset) for offset in exact]
    if 0 in rounded or len(set(rounded)) < len(rounded):
      continue
    error = max(abs(a - b) for a, b in zip(exact, rounded, strict=True)) / scale
    found.append((round(error, 6), scale))
  return [scale for _, scale in sorted(found)]
