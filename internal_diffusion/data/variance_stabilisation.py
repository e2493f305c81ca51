"""Making noise that depends on the signal white, and the way back.

With u = x + 1 the light above black, y = x + n and noise of the variance
gain u + offset, the generalised Anscombe transform (Murtagh, Starck & Bijaoui
1995)

  f(y) = (2 / gain) sqrt(gain (y + 1) + 3/8 gain^2 + offset)

has noise of standard deviation 1 nearly everywhere. In the deepest dark, where
its root would end, it goes on as its tangent, so that nothing is lost. For gain
0 it is y / sqrt(offset). A denoiser estimates the mean of f(y), which is not
f(x), as f is curved. So the inverse is not that of f: it is the x at which
E[f(y) | x] has the given value (Makitalo & Foi 2011), found in a table, with
the noise taken as Gaussian.
"""

import numpy as np

_NUM_LEVELS = 2048  # Of the table.
_NUM_NODES = 33  # Of the quadrature.
_LEAST_STD = 1e-4  # 0.013 grey levels of 255; a channel without noise has it.


def stabilise(
  image: np.ndarray, *, gain: np.ndarray, offset: np.ndarray
) -> tuple[np.ndarray, float]:
  """An image whose noise is white and equal in all channels, and its level.

  Args:
    image: Noisy image in [-1, 1] or beyond, [H, W, C].
    gain: Slope of the variance over x + 1, at least 0, [C].
    offset: Variance where x is -1, [C].

  Returns:
    The transformed image, [H, W, C], with black at -1 and white at 1 if there
    is one channel, about so with several. And the noise's standard deviation.

  Raises:
    ValueError: If a gain is negative, or not one for each channel.
  """
  image = np.asarray(image)
  gains, offsets = _check(image, gain, offset)
  pairs = list(zip(gains, offsets, strict=True))
  sigma = _common_sigma(pairs)
  stable = np.stack(
    [
      sigma * (_anscombe(image[..., c], *pair) - _middle(*pair))
      for c, pair in enumerate(pairs)
    ],
    axis=-1,
  )
  return stable.astype(image.dtype), sigma


def destabilise(
  stable: np.ndarray, *, gain: np.ndarray, offset: np.ndarray
) -> np.ndarray:
  """The image whose noisy observations have a given stabilised mean.

  It is increasing, so the ends of intervals may be given too.

  Args:
    stable: Denoised result of `stabilise`, [..., H, W, C].
    gain: As given to `stabilise`, [C].
    offset: As given to `stabilise`, [C].

  Returns:
    [..., H, W, C], where x is -2 to 4: beyond, the nearest of them.

  Raises:
    ValueError: If a gain is negative, or not one for each channel.
  """
  stable = np.asarray(stable)
  gains, offsets = _check(stable, gain, offset)
  pairs = list(zip(gains, offsets, strict=True))
  sigma = _common_sigma(pairs)
  channels = []
  for c, pair in enumerate(pairs):
    x, mean = _mean_table(*pair)
    value = stable[..., c] / sigma + _middle(*pair)
    channels.append(np.interp(value, mean, x))
  return np.stack(channels, axis=-1).astype(stable.dtype)


def _check(
  image: np.ndarray, gain: np.ndarray, offset: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Gains and offsets as float64 [C]."""
  gains = np.atleast_1d(np.asarray(gain, np.float64))
  offsets = np.atleast_1d(np.asarray(offset, np.float64))
  for name, values in (('gain', gains), ('offset', offsets)):
    if values.shape != image.shape[-1:] or not np.all(np.isfinite(values)):
      raise ValueError(
        f'`{name}` must be a finite number for each of {image.shape[-1]}'
        f' channels, got {values.tolist()}.'
      )
  if np.any(gains < 0):
    raise ValueError(f'`gain` must be at least 0, got {gains.tolist()}.')
  return gains, offsets


def _anscombe(y: np.ndarray, gain: float, offset: float) -> np.ndarray:
  """f(y), in float64."""
  y = np.asarray(y, np.float64)
  least = _LEAST_STD**2
  # Where the transform differs from the linear one by less than rounding.
  if 4 * gain < 1e-6 * max(offset, least):
    return y / np.sqrt(max(offset, least))
  inside = gain * (y + 1) + 0.375 * gain**2 + offset
  # The tangent begins where it is about as steep as the noise at black needs.
  end = 0.375 * gain**2 + max(offset, 0) / 2
  root = np.sqrt(np.maximum(inside, end))
  return 2 / gain * (root + np.minimum(inside - end, 0) / (2 * np.sqrt(end)))


def _middle(gain: float, offset: float) -> float:
  """Mean of the transforms of black and white."""
  return float(_anscombe(np.array([-1.0, 1.0]), gain, offset).mean())


def _common_sigma(pairs: list[tuple[float, float]]) -> float:
  """The scale for which black to white is 2, in the mean of the channels."""
  ends = [_anscombe(np.array([-1.0, 1.0]), *pair) for pair in pairs]
  return float(2 / np.mean([high - low for low, high in ends]))


def _mean_table(gain: float, offset: float) -> tuple[np.ndarray, np.ndarray]:
  """Values x, [M], and E[f(y) | x], [M]."""
  # Denser near black, where f is steep.
  x = 6 * np.linspace(0, 1, _NUM_LEVELS) ** 2 - 2
  nodes, weights = np.polynomial.hermite_e.hermegauss(_NUM_NODES)
  weights = weights / weights.sum()
  std = np.sqrt(np.maximum(gain * (x + 1) + offset, 0))
  mean = _anscombe(x[:, None] + std[:, None] * nodes, gain, offset) @ weights
  return x, np.maximum.accumulate(mean)
