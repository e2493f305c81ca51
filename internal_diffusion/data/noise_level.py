"""Noise level of one image, estimated on its flattest patches.

The patches of 8 x 8 pixels are written in the basis of the discrete cosine
transform. Their low frequencies say how flat they are, their high frequencies
how noisy. White noise has independent coefficients, so choosing patches by the
former leaves the latter unbiased (Ponomarenko et al. 2007). A patch counts as
flat while the energy of its n low coefficients is what noise alone would give,

  sum_low c^2 <= sigma^2 chi2_n(0.9),

and sigma is found from the flat patches: a fixed point, started from above (the
iteration of Liu, Tanaka & Okutomi 2013). Where little is flat, sigma is
read from the principal components of smallest variance (Pyatykh, Hesser &
Zheng 2013; Chen, Zhu & Heng 2015).

Noise of a camera depends on the signal (Foi et al. 2008): with u = x + 1 the
light above black and x in [-1, 1],

  variance = gain u + offset.

The two numbers are fitted to the variances of groups of flat patches of similar
brightness, robustly, and kept only where the slope is significant.
"""

import dataclasses
import itertools

import numpy as np
import scipy  # Its `stats` is imported where it is used.
from scipy import fft

from internal_diffusion.data import noise_correlation
from internal_diffusion.data.noise_correlation import Correlation

_SIDE = 8  # Pixels of a patch's side.
_MAX_PATCHES = 40_000
_FLAT = 0.9  # Part of the patches of pure noise that count as flat.
_LEAST = 0.004  # Part of the patches that are used, flat or not.
_NUM_GROUPS = 16  # Groups of brightness.
_SIGNIFICANT = 5.0  # Slope over its standard error.
_LEAST_RATIO = 1.25  # Of the noise in bright and dark parts.
_CLIPPED = 1e-3  # Part of the pixels that makes a channel clipped.
_MARGIN = 2.5  # Standard deviations of noise between a mean and the clipping.
_NOTHING = 1e-12  # Variance that counts as none.


@dataclasses.dataclass(frozen=True)
class NoiseEstimate:
  """Noise of an image in [-1, 1].

  Attributes:
    sigma: Standard deviation of each channel, [C], in units of the image: two
      of them are 255 grey levels. Over the image's pixels it is the root mean
      square.
    gain: Slope of the variance over x + 1 in each channel, [C]; 0 if the noise
      does not depend on the signal.
    offset: Variance where x is -1, [C]; sigma^2 if the gain is 0. It may be
      below 0, for a sensor whose black is above -1.
    correlation: Correlation of neighbouring pixels' noise.
    flat: Part of the patches that are flat. Below 0.01 the image is textured
      everywhere, and sigma may hold some of the texture.
  """

  sigma: np.ndarray
  gain: np.ndarray
  offset: np.ndarray
  correlation: Correlation
  flat: float

  @property
  def is_signal_dependent(self) -> bool:
    """Whether bright and dark pixels have different noise."""
    return bool(np.any(self.gain > 0))

  @property
  def grey_levels(self) -> float:
    """Root mean square over the channels of sigma, in grey levels of 255."""
    return float(127.5 * np.sqrt(np.mean(self.sigma**2)))

  def variance(self, image: np.ndarray) -> np.ndarray:
    """Variance of the noise at pixels of given values, [..., C]."""
    light = np.asarray(image, np.float64) + 1
    return np.maximum(self.gain * light + self.offset, 0)


@dataclasses.dataclass(frozen=True)
class _Coefficients:
  """Coefficients of a channel's patches.

  Attributes:
    mean: Mean of each patch, [N].
    texture: Energy of the low frequencies, [N].
    num_low: Number of low frequencies.
    high: High frequencies in principal coordinates, by increasing variance,
      [N, D].
    bias: What the smallest variances are too small by, because the principal
      axes are fitted to the same patches.
  """

  mean: np.ndarray
  texture: np.ndarray
  num_low: int
  high: np.ndarray
  bias: float


def estimate_noise(image: np.ndarray) -> NoiseEstimate:
  """Level, signal dependence and correlation of the noise of an image.

  On photographs the level is within about 5% for noise of 5 to 50 grey levels,
  more where all is texture. Without noise it is 0 to 1.5 grey levels.

  Args:
    image: [H, W, C], at least 16 x 16 pixels. Values outside [-1, 1] are noise
      that was not clipped.

  Returns:
    The estimate.

  Raises:
    ValueError: If the image is not [H, W, C], too small, not finite, or of one
      colour, which has no noise to measure.
  """
  image = np.asarray(image, np.float32)
  if image.ndim != 3 or min(image.shape[:2]) < 2 * _SIDE or not image.shape[2]:
    raise ValueError(
      f'`image` must be [H, W, C] of at least {2 * _SIDE} x {2 * _SIDE} pixels'
      f' to estimate its noise, got shape {image.shape}.'
    )
  if not np.all(np.isfinite(image)):
    raise ValueError('`image` must be finite, got NaN or infinite values.')
  if not np.any(np.ptp(image, axis=(0, 1)) > 0):
    raise ValueError(
      '`image` must have more than one colour to estimate its noise, got'
      f' {image[0, 0].tolist()} at every pixel.'
    )
  correlation = noise_correlation.estimate_correlation(image)
  white = noise_correlation.whiten(image, correlation)
  channels = [
    _estimate_channel(white[..., c], image[..., c])
    for c in range(image.shape[2])
  ]
  sigma, gain, offset, flat = np.array(channels).T
  return NoiseEstimate(sigma, gain, offset, correlation, float(flat.mean()))


def _estimate_channel(
  white: np.ndarray, channel: np.ndarray
) -> tuple[float, float, float, float]:
  """(sigma, gain, offset, flat) of a channel [H, W] after whitening."""
  patches = _coefficients(white, channel)
  variance, is_flat = _flat_variance(patches)
  if np.mean(_clipped(channel)) > _CLIPPED:
    patches = _coefficients(white, channel, margin=_MARGIN * np.sqrt(variance))
    variance, is_flat = _flat_variance(patches)
  gain, offset = _fit_line(patches, variance, channel)
  if gain > 0:
    light = channel.astype(np.float64) + 1
    variance = float(np.mean(np.maximum(gain * light + offset, 0)))
  return float(np.sqrt(variance)), gain, offset, float(is_flat.mean())


def _coefficients(
  white: np.ndarray, channel: np.ndarray, *, margin: float = 0.0
) -> _Coefficients:
  """Coefficients of the patches that are not clipped.

  Args:
    white: The channel after whitening, [H, W].
    channel: The channel, [H, W].
    margin: What a patch's mean keeps away from the ends of a clipped channel.
  """
  height, width = channel.shape
  stride = max(1, int(np.ceil(np.sqrt(height * width / _MAX_PATCHES))))
  window = np.lib.stride_tricks.sliding_window_view
  dim = _SIDE**2

  def cut(values: np.ndarray) -> np.ndarray:
    views = window(values, (_SIDE, _SIDE))[::stride, ::stride]
    return views.reshape(-1, dim)

  clipped, mean = cut(_clipped(channel)).sum(1), cut(channel).mean(1)
  kept = clipped <= 1
  if margin > 0:
    # Choosing by the mean, and not by clipped pixels, spares the noise's tails.
    room = np.minimum(mean - channel.min(), channel.max() - mean)
    kept = (clipped <= 3) & (room >= margin)
  if kept.sum() < max(50, _LEAST * len(kept)):
    kept = clipped <= np.quantile(clipped, 0.1)
  cosines = fft.dct(np.eye(_SIDE), axis=0, norm='ortho')
  basis = np.kron(cosines, cosines).astype(np.float32)
  order = np.add.outer(np.arange(_SIDE), np.arange(_SIDE)).ravel()
  is_low, is_high = (order > 0) & (order <= 5), order >= _SIDE
  vectors = cut(white)[kept]
  low, high = vectors @ basis[is_low].T, vectors @ basis[is_high].T
  _, axes = np.linalg.eigh(high.T @ high)
  num_low, num_high = int(is_low.sum()), int(is_high.sum())
  # Overlapping patches count for less: measured on white noise.
  independent = len(high) * min(1, stride**2 / 4)
  return _Coefficients(
    mean=mean[kept],
    texture=np.square(low).sum(1),
    num_low=num_low,
    high=high @ axes,
    bias=max(0.5, 1 - 1.5 * np.sqrt(num_high / independent)),
  )


def _clipped(channel: np.ndarray) -> np.ndarray:
  """Where the noise was cut off at black or white, bool [H, W]."""
  low, high = channel.min(), channel.max()
  return ((channel == low) & (low >= -1)) | ((channel == high) & (high <= 1))


def _flat_variance(
  patches: _Coefficients, group: np.ndarray | slice = slice(None)
) -> tuple[float, np.ndarray]:
  """Variance of the noise in a group of patches, and which of it are flat.

  Args:
    patches: The coefficients.
    group: Members, bool [N], by default all.

  Returns:
    The variance, and bool of the group's size.
  """
  texture, high = patches.texture[group], patches.high[group]
  least = min(len(texture), max(50, int(_LEAST * len(texture)))) - 1
  floor = np.partition(texture, least)[least]
  quantile = scipy.stats.chi2.ppf(_FLAT, patches.num_low)
  variance = float(np.mean(np.square(high)))
  for _ in range(30):
    used = texture <= max(variance * quantile, floor)
    each = np.square(high[used]).mean(0)
    smallest = each[: len(each) // 4].mean() / patches.bias
    last, variance = variance, float(min(np.median(each), smallest))
    if abs(variance - last) <= 1e-4 * last:
      break
  return variance, texture <= variance * quantile


def _fit_line(
  patches: _Coefficients, variance: float, channel: np.ndarray
) -> tuple[float, float]:
  """Gain and offset of variance = gain (x + 1) + offset.

  Args:
    patches: The coefficients.
    variance: Variance of all flat patches together.
    channel: The channel, [H, W].

  Returns:
    Both, or (0, variance) if the slope is not significant.
  """
  constant = 0.0, variance
  edges = np.quantile(patches.mean, np.linspace(0, 1, _NUM_GROUPS + 1))
  light, level, weight = [], [], []
  for low, high in itertools.pairwise(edges):
    group = (patches.mean >= low) & (patches.mean <= high)
    if group.sum() < 200:
      continue
    found, is_flat = _flat_variance(patches, group)
    light.append(patches.mean[group].mean() + 1)
    level.append(found)
    # A group in which little is flat shows its texture.
    weight.append(is_flat.sum() if is_flat.mean() > 0.05 else 0)
  if np.sum(np.array(level) > _NOTHING) < 4:
    return constant
  slope, offset, z = _robust_line(
    np.array(light), np.array(level), np.array(weight, float)
  )
  dark, bright = np.quantile(channel, [0.05, 0.95]) + 1
  ends = np.maximum(slope * np.array([dark, bright]) + offset, 0)
  if z < _SIGNIFICANT or ends[1] < _LEAST_RATIO**2 * ends[0]:
    return constant
  return float(slope), float(offset)


def _robust_line(
  x: np.ndarray, y: np.ndarray, weight: np.ndarray
) -> tuple[float, float, float]:
  """Slope, intercept and slope over its error of y = slope x + intercept.

  Reweighted least squares: a variance's error is in proportion to it, and
  points far above the line, which texture lifts, lose weight.

  Args:
    x: Positions, [G].
    y: Variances, [G].
    weight: Number of patches of each, [G].

  Returns:
    The three numbers; zeros if less than four points have weight.
  """
  if np.sum(weight > 0) < 4:
    return 0.0, float(np.mean(y)) if len(y) else 0.0, 0.0
  design = np.stack([x, np.ones_like(x)], axis=1)
  fitted, robust = np.full_like(y, np.median(y)), np.ones_like(y)
  share = weight / weight.sum()
  for _ in range(20):
    w = share * robust / np.maximum(fitted, 0.05 * np.median(y)) ** 2
    normal = design.T @ (w[:, None] * design)
    slope, offset = np.linalg.solve(normal, design.T @ (w * y))
    fitted = slope * x + offset
    error = (y - fitted) / np.maximum(fitted, 0.05 * np.median(y))
    spread = 1.4826 * np.median(np.abs(error[weight > 0])) + 0.01
    robust = 1 / (1 + (error / (2 * spread)) ** 2)
  freedom = max(np.sum(weight > 0) - 2, 1)
  scale = np.sum(w * (y - fitted) ** 2) / freedom * np.sum(weight > 0)
  # The relative error of a level is at least a hundredth.
  scale = max(scale, 1e-4 * np.sum(w * fitted**2))
  covariance = np.linalg.inv(normal) * scale / np.sum(weight > 0)
  return slope, offset, slope / np.sqrt(covariance[0, 0])
