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
change.
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
_FEWEST_LINES = 8
# Exponents and angles that the search starts from.
_STARTS = ((0.0, 0.0), (-0.4, 0.0), (0.4, 0.0), (0.0, -0.5), (0.0, 0.5))
_STEPS = ((0, 1), (0, -1), (1, 0), (-1, 0))


class ToneMap(NamedTuple):
  """A map of tones and its uncertainty.

  Attributes:
    mode: Most probable parameters, [P]: the logarithms of the gain and of the
      exponent, then for colour the angle and the logarithms of the channels'
      own gains. Zeros change nothing.
    covariance: Of the parameters, [P, P].
    num_lines: Number of lines across the border that it was estimated from.
  """

  mode: np.ndarray
  covariance: np.ndarray
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
    mask: True at the object, [H, W].

  Raises:
    ValueError: If the object has no border of two pixels in the picture, or
      nothing is left beside it.
  """
  lines = _lines_across(image, mask)
  if lines.shape[1] < _FEWEST_LINES:
    raise ValueError(
      '`mask` must have a border inside of the picture, with two pixels of the'
      f' object and two of the picture at {_FEWEST_LINES} places or more; it'
      f' has {lines.shape[1]}.'
    )
  law = _fit_law(image, ndimage.binary_dilation(mask, iterations=2))
  activity = abs(lines[1] - lines[0]) + abs(lines[3] - lines[2])
  scale = law.scale + law.growth * activity.mean(axis=-1, keepdims=True)
  prior_std = _prior_std(image.shape[-1])

  def energy(parameters: np.ndarray) -> float:
    inside = apply_tones(lines[:2], parameters.clip(-_LIMIT, _LIMIT))
    outer = (inside[1] - inside[0]) + (lines[3] - lines[2])
    residual = (lines[2] - inside[1] - law.gain * outer) / scale
    squares = (residual**2).mean(axis=-1)
    misfit = 1.5 * np.log1p(squares / _TAIL**2).sum()
    return _WEIGHT * misfit + 0.5 * np.sum((parameters / prior_std) ** 2)

  found = [
    optimize.minimize(energy, start, method='L-BFGS-B', options={'maxiter': 30})
    for start in _starts(len(prior_std))
  ]
  best = min(found, key=lambda result: result.fun).x.clip(-_LIMIT, _LIMIT)
  covariance = _covariance(energy, best, prior_std)
  return ToneMap(best, covariance, lines.shape[1])


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


def _lines_across(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
  """Pixels of lines across the border, [4, N, C]: two inside, two outside.

  Lines with a pixel inside that is clipped are left out where enough are left.
  """
  found = []
  rows, columns = np.nonzero(mask)
  size = np.array(mask.shape)
  for step in _STEPS:
    places = [
      np.stack([rows + k * step[0], columns + k * step[1]])
      for k in (-1, 0, 1, 2)
    ]
    inside = [
      ((place >= 0) & (place < size[:, None])).all(axis=0) for place in places
    ]
    places = [place[:, np.all(inside, axis=0)] for place in places]
    covered = [mask[*place] for place in places]
    crosses = covered[0] & covered[1] & ~covered[2] & ~covered[3]
    found.append(np.stack([image[*place[:, crosses]] for place in places]))
  lines = np.concatenate(found, axis=1)
  whole = (lines[:2] < 1).all(axis=(0, 2)) & (lines[:2] > 0).any(axis=(0, 2))
  return lines[:, whole] if whole.sum() >= _FEWEST_LINES else lines


def _fit_law(image: np.ndarray, left_out: np.ndarray) -> _Law:
  """The law of four pixels in a row, from the rows and columns of a picture."""
  fours = []
  for axis in (0, 1):
    values, bad = np.moveaxis(image, axis, 0), np.moveaxis(left_out, axis, 0)
    length = len(values) - 3
    whole = ~np.any([bad[k : k + length] for k in range(4)], axis=0)
    fours.append(np.stack([values[k : k + length][whole] for k in range(4)]))
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
  energy: Callable[[np.ndarray], float],
  mode: np.ndarray,
  prior_std: np.ndarray,
) -> np.ndarray:
  """Inverse of the energy's second derivatives, at most the prior's."""
  steps = np.diag(0.02 * prior_std)
  hessian = np.array(
    [
      [
        (
          energy(mode + a + b)
          - energy(mode + a - b)
          - energy(mode - a + b)
          + energy(mode - a - b)
        )
        / (4 * a.sum() * b.sum())
        for b in steps
      ]
      for a in steps
    ]
  )
  precision, directions = np.linalg.eigh((hessian + hessian.T) / 2)
  variance = 1 / np.maximum(precision, 1 / prior_std.max() ** 2)
  return (directions * variance) @ directions.T
