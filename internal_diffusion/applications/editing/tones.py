"""Maps of an object's tones, and the one that fits a picture best.

A map has few parameters: a gain of each channel, an exponent of all of them and
a rotation of the hue,

  T(v) = R(angle) (gain * v^exponent)    for v in [0, 1],

so an object keeps its shape and its texture. Between neighbouring pixels p1, p0
of the object and q0, q1 of the picture on a line across the border, the middle
difference of the right map is the one that the picture's own pixels predict
from the outer two,

  q0 - T(p0) = a ((T(p0) - T(p1)) + (q1 - q0)) + residual,

where a and the residual's scale are fitted to all such lines of the picture
without the object. A wrong map adds a step along the whole border, while a real
edge rarely follows the border to the pixel; so the residuals are heavy-tailed
(Student's t), and the map is their posterior mode with a prior around no
change. Where the object's border is soft, with mixed pixels between p0 and q0,
the same law of pixels so far apart holds.

Other maps are drawn near the mode. Their prior is as wide as the change that
the mode makes, so that an object which fits already stays nearly as it is.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import ndimage, optimize

_DARKEST = 1 / 255  # Of a value whose logarithm is taken.
# Standard deviations of the prior: logarithms of the gain, of a channel's own
# gain and of the exponent, and the angle of the hue in radians.
_PRIOR_STD = {'gain': 0.5, 'channel': 0.09, 'exponent': 0.4, 'angle': 0.6}
_TAIL = 4.0  # Scales at which the tail of the residuals begins.
_WEIGHT = 0.05  # Of a line: neighbours are far from independent.
_LIMIT = 2.0  # Of a parameter, for the search.
_LEAST_SPREAD = 0.1  # Of the prior's standard deviation, for draws.
_CANDIDATES = 16  # That each drawn map is chosen from.
_FEWEST_LINES = 8
_WIDEST = 16  # Of a soft border, in pixels.
_WHOLE = 0.99  # Share of the object in its own pixels, at least.
# Exponents and angles that the search starts from.
_STARTS = ((0.0, 0.0), (-0.4, 0.0), (0.4, 0.0), (0.0, -0.5), (0.0, 0.5))
_STEPS = ((0, 1), (0, -1), (1, 0), (-1, 0))


class ToneMap(NamedTuple):
  """A map of tones and its uncertainty.

  Attributes:
    mode: Most probable parameters, [P]: the logarithms of the gain and of the
      exponent, then for colour the angle and the logarithms of the channels'
      own gains. Zeros change nothing.
    covariance: Of the parameters near the mode, [P, P].
    energy: Minus the logarithm of the density of parameters [P] that maps are
      drawn from, up to a constant.
    num_lines: Number of lines across the border that it was estimated from.
  """

  mode: np.ndarray
  covariance: np.ndarray
  energy: Callable[[np.ndarray], float]
  num_lines: int


class _Law(NamedTuple):
  """What the middle difference of four pixels in a row is in a picture."""

  gain: float  # a, of the sum of the outer differences.
  scale: float  # Of the residual on flat ground.
  growth: float  # Of the scale with the size of the outer differences.


def apply_tones(values: np.ndarray, parameters: np.ndarray) -> np.ndarray:
  """Values [..., C] in [0, 1] mapped by parameters [P], not clipped."""
  gain = np.exp(parameters[0])
  logs = np.log(np.maximum(values, _DARKEST))
  mapped = gain * np.exp(np.exp(parameters[1]) * logs)
  if values.shape[-1] == 1:
    return mapped
  return (np.exp(parameters[3:]) * mapped) @ _rotation(parameters[2]).T


def describe(parameters: np.ndarray) -> dict[str, float]:
  """Gain, exponent and angle of the hue in degrees of parameters [P]."""
  gain, exponent = np.exp(parameters[:2])
  found = {'gain': gain, 'exponent': exponent}
  if len(parameters) > 2:
    found['hue_degrees'] = np.rad2deg(parameters[2])
  return {name: round(float(value), 3) for name, value in found.items()}


def fit_tones(image: np.ndarray, mask: np.ndarray) -> ToneMap:
  """The map of an object's tones that fits the picture around it.

  Args:
    image: Picture with the object, [H, W, C] in [0, 1].
    mask: True at the object, or its share in each pixel in [0, 1], [H, W].

  Raises:
    ValueError: If the object has no border of two pixels in the picture, or
      nothing is left beside it.
  """
  by_gap = _all_lines_across(image, np.asarray(mask, np.float64))
  counts = [part.shape[1] for _, part in by_gap]
  if sum(counts) < _FEWEST_LINES:
    raise ValueError(
      '`mask` must have a border inside of the picture, with two pixels of the'
      f' object and two of the picture at {_FEWEST_LINES} places or more; it'
      f' has {sum(counts)}.'
    )
  lines = np.concatenate([part for _, part in by_gap], axis=1)
  left_out = ndimage.binary_dilation(mask > 0, iterations=2)
  laws = [_fit_law(image, left_out, gap) for gap, _ in by_gap]
  gain, flat, growth = (
    np.repeat(part, counts)[:, None] for part in zip(*laws, strict=True)
  )
  activity = abs(lines[1] - lines[0]) + abs(lines[3] - lines[2])
  scale = flat + growth * activity.mean(axis=-1, keepdims=True)
  prior_std = _prior_std(image.shape[-1])

  def misfit(parameters: np.ndarray) -> float:
    inside = apply_tones(lines[:2], parameters.clip(-_LIMIT, _LIMIT))
    outer = (inside[1] - inside[0]) + (lines[3] - lines[2])
    residual = (lines[2] - inside[1] - gain * outer) / scale
    squares = (residual**2).mean(axis=-1)
    return _WEIGHT * 1.5 * np.log1p(squares / _TAIL**2).sum()

  def energy(parameters: np.ndarray) -> float:
    return misfit(parameters) + 0.5 * np.sum((parameters / prior_std) ** 2)

  found = [
    optimize.minimize(energy, start, method='L-BFGS-B', options={'maxiter': 30})
    for start in _starts(len(prior_std))
  ]
  best = min(found, key=lambda result: result.fun).x.clip(-_LIMIT, _LIMIT)
  size = float(np.sqrt(np.mean((best / prior_std) ** 2)))
  spread = float(np.clip(size, _LEAST_SPREAD, 1))
  covariance = _covariance(misfit, best, spread * prior_std)

  def near(parameters: np.ndarray) -> float:
    change = (parameters - best) / (spread * prior_std)
    return misfit(parameters) + 0.5 * np.sum(change**2)

  return ToneMap(best, covariance, near, lines.shape[1])


def draw_tones(
  rng: np.random.Generator, found: ToneMap, num_samples: int
) -> np.ndarray:
  """Parameters [K, P] near the mode, the better they fit the likelier.

  Draws of the normal law with the covariance are weighted by the density over
  that of the normal law, and K of them are kept without repetition.
  """
  shape = (_CANDIDATES * num_samples, len(found.mode))
  normal = rng.standard_normal(shape)
  candidates = found.mode + normal @ np.linalg.cholesky(found.covariance).T
  energies = np.array([found.energy(own) for own in candidates])
  logs = 0.5 * (normal**2).sum(axis=-1) - energies
  order = np.argsort(logs + rng.gumbel(size=len(logs)))  # Gumbel's top K.
  return candidates[order[::-1][:num_samples]]


def _rotation(angle: float) -> np.ndarray:
  """Rotation [3, 3] about the axis of grey."""
  axis = np.full(3, np.sqrt(1 / 3))
  cross = np.cross(np.eye(3), axis)
  return (
    np.cos(angle) * np.eye(3)
    + (1 - np.cos(angle)) * np.outer(axis, axis)
    - np.sin(angle) * cross
  )


def _prior_std(num_channels: int) -> np.ndarray:
  std = _PRIOR_STD
  tones = [std['gain'], std['exponent']]
  if num_channels == 1:
    return np.array(tones)
  return np.array([*tones, std['angle'], *[std['channel']] * num_channels])


def _starts(num_parameters: int) -> list[np.ndarray]:
  """Parameters to start from: exponents and hues on both sides of none."""
  starts = []
  for exponent, angle in _STARTS:
    start = np.zeros(num_parameters)
    start[1] = exponent
    if num_parameters > 2:
      start[2] = angle
    elif angle:
      continue
    starts.append(start)
  return starts


def object_pixels(mask: np.ndarray) -> np.ndarray:
  """Where a mask or soft mask [H, W] has nothing but the object."""
  return np.asarray(mask, np.float64) >= _WHOLE


def _all_lines_across(
  image: np.ndarray, share: np.ndarray
) -> list[tuple[int, np.ndarray]]:
  """Widths of the soft border, and the lines across it, see `_lines_across`.

  Lines with a pixel inside that is clipped are left out where enough are left.
  """
  soft = (share > 0) & ~object_pixels(share)
  widths = range(_WIDEST + 1) if soft.any() else range(1)
  found = [(gap, _lines_across(image, share, gap)) for gap in widths]
  whole = []
  for gap, lines in found:
    light = (lines[:2] < 1).all(axis=(0, 2))
    whole.append((gap, lines[:, light & (lines[:2] > 0).any(axis=(0, 2))]))
  if sum(lines.shape[1] for _, lines in whole) >= _FEWEST_LINES:
    found = whole
  return [(gap, lines) for gap, lines in found if lines.shape[1]]


def _lines_across(image: np.ndarray, share: np.ndarray, gap: int) -> np.ndarray:
  """Pixels of lines across the border, [4, N, C]: two inside, two outside.

  Args:
    image: [H, W, C].
    share: Share of the object in each pixel, [H, W].
    gap: Number of mixed pixels between the inner and the outer ones.
  """
  solid = object_pixels(share)
  found = []
  rows, columns = np.nonzero(solid)
  size = np.array(share.shape)
  for step in _STEPS:
    places = [
      np.stack([rows + k * step[0], columns + k * step[1]])
      for k in range(-1, 3 + gap)
    ]
    inside = [
      ((place >= 0) & (place < size[:, None])).all(axis=0) for place in places
    ]
    places = [place[:, np.all(inside, axis=0)] for place in places]
    before, here, *mixed, after, last = places
    crosses = solid[*before] & (share[*after] == 0) & (share[*last] == 0)
    for place in mixed:
      crosses &= (share[*place] > 0) & ~solid[*place]
    ends = before, here, after, last
    found.append(np.stack([image[*place[:, crosses]] for place in ends]))
  return np.concatenate(found, axis=1)


def _fit_law(image: np.ndarray, left_out: np.ndarray, gap: int) -> _Law:
  """The law of four pixels in a row, from the rows and columns of a picture.

  Between the second and the third lie `gap` others.
  """
  at = (0, 1, 2 + gap, 3 + gap)
  fours = []
  for axis in (0, 1):
    values, bad = np.moveaxis(image, axis, 0), np.moveaxis(left_out, axis, 0)
    length = max(0, len(values) - at[-1])
    whole = ~np.any([bad[k : k + length] for k in at], axis=0)
    fours.append(np.stack([values[k : k + length][whole] for k in at]))
  four = np.concatenate(fours, axis=1)
  if four.shape[1] < _FEWEST_LINES:
    raise ValueError(
      '`mask` must leave some of the picture beside the object; it leaves'
      f' {(~left_out).sum()} pixels.'
    )
  before, middle, after = np.diff(four, axis=0)
  outer, activity = before + after, abs(before) + abs(after)
  gain = (middle * outer).sum() / max((outer**2).sum(), 1e-12)
  error = abs(middle - gain * outer)
  flat = activity <= np.median(activity)
  growth = (error * activity).sum() / max((activity**2).sum(), 1e-12)
  return _Law(gain, float(np.median(error[flat])) + 1e-3, growth)


def _covariance(
  misfit: Callable[[np.ndarray], float],
  mode: np.ndarray,
  prior_std: np.ndarray,
) -> np.ndarray:
  """Inverse of the second derivatives at the mode, at most the prior's."""
  step = 0.02
  steps = np.diag(step * prior_std)
  hessian = np.array(
    [
      [
        misfit(mode + a + b)
        - misfit(mode + a - b)
        - misfit(mode - a + b)
        + misfit(mode - a - b)
        for b in steps
      ]
      for a in steps
    ]
  ) / (4 * step**2)
  # In units of the prior, whose own second derivatives are the identity.
  curvature, directions = np.linalg.eigh((hessian + hessian.T) / 2)
  root = prior_std[:, None] * directions
  return (root / (1 + np.maximum(curvature, 0))) @ root.T
