"""Samples of a clip: its mean and errors that move along the measured motion.

A sample of a frame is m + s e, with its mean m and standard deviation s. The
error e has variance 1 and looks like those of the clip's known frames. What the
mean misses in a frame it misses in the next one too, so from frame to frame

  e_k = rho W e_(k-1) + sqrt(1 - rho^2) d_k,

where W moves the last error along the motion of the means, d_k is drawn afresh,
and the persistence rho is measured: the correlation of the errors of known
frames with those of the frames after them, moved along the motion. Then the
constraints hold: known frames and pixels stay, and a coarse observation of the
sample is the given one (`sampling.constraints`).
"""

from collections.abc import Sequence

import jax
import numpy as np
from scipy import ndimage

from internal_diffusion.applications.video.motion import (
  find_motion,
  warp_along,
)
from internal_diffusion.sampling import constraints as constraints_lib
from internal_diffusion.sampling.constraints import Constraint

Array = jax.Array

_LARGEST_ROLL = 8  # Of an example's error, in pixels.
_WINDOW = 4.0  # Of the motion, in pixels.
_BLUR = 1.0  # Of errors whose look is not known, in pixels.
_MOST_PERSISTENT = 0.98
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
    self._errors = np.zeros((0,))
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
      for sample, last in enumerate(self._errors):
        moved, inside = warp_along(last, velocity, 1)
        rho = persistence * inside[..., None].astype(np.float32)
        fresh[sample] = rho * moved + np.sqrt(1 - rho**2) * fresh[sample]
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
    return _combined(key, looks, frame.shape)


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


def _combined(
  key: Array, looks: Sequence[np.ndarray], shape: tuple[int, ...]
) -> np.ndarray:
  """A combination of two errors, the second moved: a third one."""
  which_key, angle_key, move_key = jax.random.split(key, 3)
  which = np.asarray(jax.random.randint(which_key, (2,), 0, len(looks)))
  first, second = (_repeated(looks[index], shape) for index in which)
  angle = 2 * np.pi * float(jax.random.uniform(angle_key))
  move = np.asarray(
    jax.random.randint(move_key, (2,), -_LARGEST_ROLL, _LARGEST_ROLL + 1)
  )
  rolled = np.roll(second, tuple(move), axis=(0, 1))
  return np.cos(angle) * first + np.sin(angle) * rolled


def _repeated(error: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
  """An error, wrapped to a larger size."""
  pad = [(0, new - old) for new, old in zip(shape, error.shape, strict=True)]
  return np.pad(error, pad, mode='wrap')
