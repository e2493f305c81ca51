"""Samples of a clip: its mean and errors that move along the measured motion.

A sample of a frame is m + s e, with its mean m and standard deviation s. The
error e has variance 1 and looks like those of the clip's known frames. What the
mean misses in a frame it misses in the next one too, so from frame to frame

  e_k = rho W e_(k-1) + sqrt(1 - rho^2) d_k,

where W moves the last error along the motion of the means, d_k is drawn afresh,
and the persistence rho is measured: the correlation of the errors of known
frames with those of the frames after them, moved along the motion. Errors
become more persistent where samples would flicker more than the clip
(`steadier`). Then the constraints hold: known frames and pixels stay, and a
coarse observation of the sample is the given one (`sampling.constraints`).
"""

from collections.abc import Sequence

import jax
import numpy as np
from scipy import ndimage

from internal_diffusion.applications.video.motion import (
  find_motion,
  warp_along,
)
from internal_diffusion.applications.video.steady import flicker
from internal_diffusion.sampling import constraints as constraints_lib
from internal_diffusion.sampling.constraints import Constraint

Array = jax.Array

_LARGEST_ROLL = 8  # Of an example's error, in pixels.
_WINDOW = 4.0  # Of the motion, in pixels.
_BLUR = 1.0  # Of errors whose look is not known, in pixels.
_MOST_PERSISTENT = 0.98
_SHARES = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98)  # Of more persistent errors.
_SIGMA = 0.02  # Of an estimate, for observations that have noise themselves.


class MovingErrors:
  """Errors of successive frames, for each of K samples."""

  def __init__(self, key: Array, num_samples: int) -> None:
    """Begins without an error.

    Args:
      key: One key.
      num_samples: Number K of samples.
    """
    self._key, self._num = key, num_samples
    self._frame: np.ndarray | None = None
    self._errors = np.zeros((0, 0, 0, 0), np.float32)
    self._position = 0

  def following(
    self, frame: np.ndarray, looks: Sequence[np.ndarray], persistence: float
  ) -> np.ndarray:
    """Errors of the next frame, [K, H, W, C], of variance 1.

    Args:
      frame: Mean of the frame, [H, W, C].
      looks: Errors of known frames over their standard deviations, [h, w, C]
        each, repeated where they are smaller; none gives smooth noise.
      persistence: Correlation rho with the errors of the frame before.
    """
    fresh = np.stack(
      [self._drawn(sample, frame, looks) for sample in range(self._num)]
    )
    if self._frame is not None and persistence > 0 and self._num:
      velocity = _motion(frame, self._frame)
      fresh = np.stack(
        [
          _continued(last, own, velocity, persistence)
          for last, own in zip(self._errors, fresh, strict=True)
        ]
      )
    self._frame, self._errors = frame, fresh
    self._position += 1
    return fresh

  def _drawn(
    self, sample: int, frame: np.ndarray, looks: Sequence[np.ndarray]
  ) -> np.ndarray:
    key = jax.random.fold_in(
      jax.random.fold_in(self._key, self._position), sample
    )
    if not looks:
      noise = np.asarray(jax.random.normal(key, frame.shape))
      smooth = ndimage.gaussian_filter(noise, (_BLUR, _BLUR, 0), mode='wrap')
      return 2 * np.sqrt(np.pi) * _BLUR * smooth
    return _moved_look(key, looks, frame.shape)


def persistence(
  first: tuple[np.ndarray, np.ndarray], second: tuple[np.ndarray, np.ndarray]
) -> float:
  """Correlation of two frames' errors along the motion, at least 0.

  Args:
    first: A known frame and its error, [H, W, C] each.
    second: The same of a later one.
  """
  velocity = _motion(second[0], first[0])
  moved, inside = warp_along(first[1], velocity, 1)
  one, other = moved[inside], second[1][inside]
  size = np.sqrt(np.mean(one**2) * np.mean(other**2))
  found = np.mean(one * other) / max(float(size), 1e-9)
  return float(np.clip(found, 0, _MOST_PERSISTENT))


def _motion(frame: np.ndarray, last: np.ndarray) -> np.ndarray:
  """Where the pixels of a frame are in the one before it, [H, W, 2]."""
  return find_motion(frame, last, times=(0, 1), window=_WINDOW, num_skipped=1)


def project(
  frames: np.ndarray, constraints: Sequence[Constraint]
) -> np.ndarray:
  """The frames that satisfy the constraints, in [-1, 1]."""
  key = jax.random.key(0)  # These constraints draw nothing.
  x, sigma = jax.device_put(frames), jax.device_put(np.float32(_SIGMA))
  held = constraints_lib.project(key, x, x, sigma, constraints)
  return np.asarray(held).clip(-1, 1)


def steadier(
  mean: np.ndarray, std: np.ndarray, errors: np.ndarray, wanted: float
) -> np.ndarray:
  """Errors as persistent as no more flicker than wanted needs.

  The persistence is raised step by step; the size of the errors stays.

  Args:
    mean: Means of frames that follow each other, [N, H, W, C].
    std: Their standard deviations, [N, H, W].
    errors: Errors of each sample, of variance 1, [K, N, H, W, C].
    wanted: Largest flicker of a sample, where that can be reached.

  Returns:
    Errors of the same shape.
  """
  if len(mean) < 3 or not len(errors):
    return errors
  velocities = [_motion(mean[i], mean[i - 1]) for i in range(1, len(mean))]
  share = 0.0
  for share in _SHARES:
    first = _more_persistent(errors[0], velocities, share)
    if flicker(mean + std[..., None] * first) <= wanted:
      break
  return np.stack([_more_persistent(own, velocities, share) for own in errors])


def _more_persistent(
  errors: np.ndarray, velocities: Sequence[np.ndarray], share: float
) -> np.ndarray:
  """Errors [N, H, W, C], each continued by a share of the one before it."""
  if not share:
    return errors
  found = [errors[0]]
  for fresh, velocity in zip(errors[1:], velocities, strict=True):
    mixed = _continued(found[-1], fresh, velocity, share)
    size = np.sqrt(np.mean(fresh**2) / max(np.mean(mixed**2), 1e-12))
    found.append((size * mixed).astype(np.float32))
  return np.stack(found)


def _continued(
  last: np.ndarray, fresh: np.ndarray, velocity: np.ndarray, rho: float
) -> np.ndarray:
  """The last error, moved, times rho, and a rest of the fresh one."""
  moved, inside = warp_along(last, velocity, 1)
  own = rho * inside[..., None].astype(np.float32)
  return own * moved + np.sqrt(1 - own**2) * fresh


def _moved_look(
  key: Array, looks: Sequence[np.ndarray], shape: tuple[int, ...]
) -> np.ndarray:
  """One of the errors, moved by some pixels, with either sign."""
  which_key, sign_key, move_key = jax.random.split(key, 3)
  which = int(jax.random.randint(which_key, (), 0, len(looks)))
  sign = 1 if jax.random.bernoulli(sign_key) else -1
  move = np.asarray(
    jax.random.randint(move_key, (2,), -_LARGEST_ROLL, _LARGEST_ROLL + 1)
  )
  return sign * np.roll(_repeated(looks[which], shape), tuple(move), (0, 1))


def _repeated(error: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
  """An error, wrapped to a larger size."""
  pad = [(0, new - old) for new, old in zip(shape, error.shape, strict=True)]
  return np.pad(error, pad, mode='wrap')
