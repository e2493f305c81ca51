"""Correlation of the noise along the rows and columns of an image.

Read-out electronics and line scanners leave noise in which neighbours in a row
resemble each other. The model is an autoregression along the rows,

  n_t = rho n_(t-1) + sqrt(1 - rho^2) e_t,   e white, of the level of n.

`whiten` turns it into white noise of the same level and `unwhiten` is the exact
inverse, so a denoiser of white noise serves: whiten, denoise, turn back. The
errors it leaves are enlarged on the way back at the low frequencies along the
axis, where the noise was largest.

rho is measured on the flattest tiles of the image. Texture correlates pixels
too, but seldom along one axis only, so rho counts as the noise's where the
other axis shows (nearly) none. Choosing tiles of low variance makes a
correlation seem too low, unless it is zero. So the image is whitened with the
first rho, and what correlation is left, which near zero is the error of rho, is
added to it.
"""

import dataclasses

import numpy as np
import scipy  # Its `signal` is imported where it is used.

_TILE = 16
_FLATTEST = 0.05  # Part of the tiles.
_LEAST_TILES = 4
_NUM_LAGS = 4
_SIGNIFICANT = 0.15  # Correlation that counts; with few tiles more is needed.
_WHITE = 0.15  # Correlation of the other axis that counts as none.
_DIFFERENCE = 0.12  # Of the two axes.
_NUM_ROUNDS = 5
_MAX_RHO = 0.95


@dataclasses.dataclass(frozen=True)
class Correlation:
  """Correlation of neighbours on the flattest ground of an image.

  Attributes:
    rows: Correlations of pixels 1, 2, 3 and 4 apart in a row, [4].
    columns: The same within a column, [4].
    axis: 1 if the noise is correlated along the rows, 0 along the columns, None
      if it is white or what correlates may be texture.
    rho: Correlation of neighbours along that axis; 0 without one.
  """

  rows: np.ndarray
  columns: np.ndarray
  axis: int | None
  rho: float


def estimate_correlation(image: np.ndarray) -> Correlation:
  """Correlation of the noise of an image [H, W, C].

  Tiles are chosen by their variance, whatever its frequencies, and a plane is
  taken off each.
  """
  side = min(_TILE, *image.shape[:2])
  rows, columns, num_tiles = _autocorrelation(image, side)
  least = max(_SIGNIFICANT, 5 / np.sqrt(num_tiles * side**2))
  size = np.abs(np.array([columns[0], rows[0]]))
  axis = int(np.argmax(size))
  other = size[1 - axis]
  is_along_one = other < _WHITE and size[axis] - other > _DIFFERENCE
  if not (size[axis] > least and is_along_one):
    return Correlation(rows, columns, None, 0.0)
  rho, rest = 0.0, (columns, rows)[axis][0]
  for _ in range(_NUM_ROUNDS):
    rho = float(np.clip(rho + rest, -_MAX_RHO, _MAX_RHO))
    found = Correlation(rows, columns, axis, rho)
    along_row, along_column, _ = _autocorrelation(whiten(image, found), side)
    rest = (along_column, along_row)[axis][0]
  return found


def whiten(image: np.ndarray, correlation: Correlation) -> np.ndarray:
  """An image [H, W, C] in which the noise is white, of the same level.

  y_t = (x_t - rho x_(t-1)) / sqrt(1 - rho^2), and the first pixel is kept.
  """
  if correlation.axis is None:
    return image
  x = np.moveaxis(np.asarray(image), correlation.axis, -1)
  scale = np.sqrt(1 - correlation.rho**2)
  rest = (x[..., 1:] - correlation.rho * x[..., :-1]) / scale
  white = np.concatenate([x[..., :1], rest], axis=-1)
  return np.moveaxis(white, -1, correlation.axis).astype(image.dtype)


def unwhiten(white: np.ndarray, correlation: Correlation) -> np.ndarray:
  """The inverse of `whiten`: x_t = rho x_(t-1) + sqrt(1 - rho^2) y_t."""
  if correlation.axis is None:
    return white
  y = np.moveaxis(np.asarray(white, np.float64), correlation.axis, -1)
  driven = np.sqrt(1 - correlation.rho**2) * y
  driven[..., 0] = y[..., 0]
  x = scipy.signal.lfilter([1.0], [1.0, -correlation.rho], driven, axis=-1)
  return np.moveaxis(x, -1, correlation.axis).astype(white.dtype)


def _autocorrelation(
  image: np.ndarray, side: int
) -> tuple[np.ndarray, np.ndarray, int]:
  """Correlations along rows and columns on the flattest tiles, and how many."""
  tiles = _tiles(image, side)
  axis = (np.arange(side) - (side - 1) / 2) / side
  planes = np.stack(
    [np.ones((side, side)), axis[:, None] + 0 * axis, axis + 0 * axis[:, None]]
  ).reshape(3, -1)
  planes = planes / np.linalg.norm(planes, axis=1, keepdims=True)
  flat = tiles.reshape(len(tiles), -1)
  residual = flat - (flat @ planes.T) @ planes
  power = np.mean(residual**2, axis=1)
  # Clipped tiles have no noise.
  alive = np.flatnonzero(power > 1e-3 * np.median(power))
  if not len(alive) or not np.any(power > 0):
    return np.zeros(_NUM_LAGS), np.zeros(_NUM_LAGS), 1
  num = min(len(alive), max(_LEAST_TILES, int(_FLATTEST * len(alive))))
  chosen = alive[np.argsort(power[alive])[:num]]
  # Of equal weight, so that no tile with an edge decides.
  unit = residual[chosen] / np.sqrt(power[chosen, None])
  unit = unit.reshape(-1, side, side)
  lags = range(1, _NUM_LAGS + 1)
  rows = [np.mean(unit[:, :, k:] * unit[:, :, :-k]) for k in lags]
  columns = [np.mean(unit[:, k:] * unit[:, :-k]) for k in lags]
  return np.array(rows), np.array(columns), num


def _tiles(image: np.ndarray, side: int) -> np.ndarray:
  """Tiles of every channel, [N, side, side]."""
  height, width, channels = image.shape
  rows, columns = height // side, width // side
  cut = image[: rows * side, : columns * side].astype(np.float64)
  cut = cut.reshape(rows, side, columns, side, channels)
  return cut.transpose(0, 2, 4, 1, 3).reshape(-1, side, side)
