"""The blur kernel of a picture, found from the blurred picture alone.

With y = k * x + noise, kernel and picture are estimated in turns, from a small
picture, in which the blur is small, to the whole one (Fergus et al. 2006). At
each scale:

1. The picture of few edges, by half-quadratic splitting (Xu, Zheng & Jia 2013),

     min_x |k * x - y|^2 + edge_cost #{pixels with a gradient}.

   It is sharper than the true picture, which keeps the kernel from shrinking to
   one pixel. edge_cost falls from turn to turn, so weaker edges join.
2. The kernel, non-negative, by least squares of the gradients,

     min_k |k * grad x - grad y|^2,

   then without its faint and detached parts, and centred.

Several sizes and edge costs are tried, as no choice serves all pictures. Of the
kernels that are found, one is taken by the picture that it leads to, deblurred
with a prior that prefers none of them, by the logarithm of

  mean(|grad x|^(1/2))^2 / mean(|grad x|)

less half of its agreement with other candidates. The first is a sparsity that
does not depend on contrast (Krishnan, Tay & Fergus 2011 use another ratio).
Patches that recur in a coarser scale of the picture (Michaeli & Irani 2014)
were tried for the same purpose and chose less well. Where the candidates differ
in shape, none is trusted: `agreement` is their correlation.

How often it fails: in 19 pairs of 12 photographs and 14 kernels (curves of 9 to
27 pixels, a line, a disk, Gaussians; most pairs were not looked at before),
deblurring lost less than 1.5 dB to the true kernel in 13 and less than 3 dB in
15; of the 12 that were trusted, in 10 and 12. Repeated texture and pictures
with few edges fail.
"""

import dataclasses

import numpy as np
from scipy import fft, ndimage

from internal_diffusion import arrays
from internal_diffusion.applications.restoration import periodic
from internal_diffusion.applications.restoration.periodic import Array

_CONTRAST = 0.22  # Standard deviation that the costs are made for.
# Sizes relative to the largest one, and edge costs.
_CANDIDATES = tuple(
  (ratio, cost) for ratio in (1.0, 0.6) for cost in (3e-3, 8e-3, 2e-2)
)
_COMPANY = 0.5  # Weight of the agreement in the choice.
_SMALLEST = 5  # Side of the kernel at the coarsest scale.
_SCALE = 0.75  # Ratio of neighbouring scales.
_TURNS, _LAST_TURNS = 8, 15  # At a scale, and at the last one.
_DECAY, _LEAST_COST = 1.5, 5e-5
_KERNEL_RIDGE = 0.02
_KERNEL_STEPS = 150
_FAINT = 0.05  # Of the largest weight: not part of the kernel.
_DETACHED = 0.1  # Of the sum: smallest part that stands alone.
_TRUSTED = 0.93  # Agreement of candidates; below, kernels were mostly wrong.


@dataclasses.dataclass(frozen=True)
class KernelEstimate:
  """A blur kernel that was estimated.

  Attributes:
    kernel: Non-negative, of sum 1, centre of mass at its central pixel,
      [k, k] with k odd, turned as for a convolution.
    agreement: Correlation, 0 to 1, with the three candidates most like it.
    likely_failed: Whether the candidates differ so much that the kernel should
      not be relied on.
  """

  kernel: np.ndarray
  agreement: float
  likely_failed: bool


def estimate_kernel(image: np.ndarray, *, max_size: int = 31) -> KernelEstimate:
  """Estimates the blur kernel of a blurred picture.

  The position of a kernel cannot be known, as a shifted picture blurred by the
  opposite shift is the same: it is centred.

  Args:
    image: Blurred picture, [H, W, C] in [-1, 1]; colours are averaged.
    max_size: Largest side of the kernel in pixels, odd, at least 5 and at most
      a third of the picture's shorter side.

  Returns:
    The kernel and whether it is to be trusted.

  Raises:
    ValueError: If the size is out of range, or the picture is of one colour.
  """
  arrays.check_odd('max_size', max_size)
  if np.ndim(image) != 3 or not np.all(np.isfinite(image)):
    raise ValueError(
      f'`image` must be finite [H, W, C], got shape {np.shape(image)}.'
    )
  grey = np.asarray(image, np.float32).mean(axis=-1)
  largest = min(grey.shape) // 3
  if not _SMALLEST <= max_size <= largest:
    raise ValueError(
      f'`max_size` must be in [{_SMALLEST}, {largest}] for a picture of'
      f' {grey.shape[0]}x{grey.shape[1]}, got {max_size}.'
    )
  if np.ptp(grey) < 1e-6:
    raise ValueError(
      '`image` must have more than one colour to estimate its blur.'
    )
  grey = (grey - grey.mean()) / grey.std() * _CONTRAST
  kernels = [
    _alternate(grey, _odd(ratio * max_size), cost)
    for ratio, cost in _CANDIDATES
  ]
  agreements = _agreements(kernels)
  costs = [
    np.log(_sparsity(grey, kernel)) - _COMPANY * agreement
    for kernel, agreement in zip(kernels, agreements, strict=True)
  ]
  best = int(np.argmin(costs))
  return KernelEstimate(
    _trimmed(kernels[best]), agreements[best], agreements[best] < _TRUSTED
  )


def _alternate(grey: Array, size: int, first_cost: float) -> Array:
  """The kernel [size, size] of a picture [H, W], from coarse to fine."""
  sizes = [size]
  while sizes[-1] > _SMALLEST:
    sizes.append(min(_odd(_SCALE * sizes[-1]), sizes[-1] - 2))
  kernel = np.outer([1, 2, 1], [1, 2, 1]).astype(np.float32) / 16
  for side in reversed(sizes):
    shape = [round(n * side / size) for n in grey.shape]
    y = grey if side == size else _resize(grey, (shape[0], shape[1]))
    kernel = _at_side(kernel, side)
    wrapped = periodic.wrap(y, 2 * side)
    inner = np.zeros_like(wrapped)
    edge = side // 2
    inner[edge : y.shape[0] - edge - 1, edge : y.shape[1] - edge - 1] = 1
    cost = first_cost
    for _ in range(_LAST_TURNS if side == size else _TURNS):
      x = _few_edges(wrapped, kernel, cost)
      kernel = _fit_kernel(x, wrapped, inner, side)
      kernel = _centred(_without_specks(kernel))
      cost = max(cost / _DECAY, _LEAST_COST)
  return kernel


def _few_edges(y: Array, kernel: Array, cost: float) -> Array:
  """The picture of few edges, given the kernel: step 1 of the module."""
  transfer = periodic.transfer(kernel, y.shape)
  data, power = np.conj(transfer) * fft.rfft2(y), np.abs(transfer) ** 2
  laplacian = periodic.laplacian(y.shape)
  x, weight = y, 2 * cost
  while weight < 1e4:
    across, down = periodic.gradient(x)
    flat = across**2 + down**2 < cost / weight
    across[flat], down[flat] = 0, 0
    pull = weight * fft.rfft2(periodic.gradient_adjoint(across, down))
    x = fft.irfft2((data + pull) / (power + weight * laplacian), y.shape)
    weight *= 2.5
  return x


def _fit_kernel(x: Array, y: Array, inner: Array, side: int) -> Array:
  """The non-negative kernel between two pictures: step 2 of the module.

  The normal equations need the correlations of the gradients at the kernel's
  lags only, so the projected gradient steps (accelerated; Beck & Teboulle 2009)
  are on small arrays.

  Args:
    x: Sharp picture, [H, W], which wraps around.
    y: Blurred picture, [H, W].
    inner: 1 where gradients of x count.
    side: Side of the kernel.
  """
  sharp = [fft.rfft2(inner * part) for part in periodic.gradient(x)]
  blurred = [fft.rfft2(part) for part in periodic.gradient(y)]
  auto = fft.irfft2(sum(np.abs(a) ** 2 for a in sharp), x.shape)
  pairs = zip(sharp, blurred, strict=True)
  cross = fft.irfft2(sum(np.conj(a) * b for a, b in pairs), x.shape)
  half, reach = side // 2, side - 1
  target = np.roll(cross, (half, half), (0, 1))[:side, :side]
  lags = np.roll(auto, (reach, reach), (0, 1))[: 2 * side - 1, : 2 * side - 1]
  power = lags[reach, reach]
  if power <= 0:
    return periodic.impulse(side)
  size = fft.next_fast_len(3 * side - 2, real=True)
  spectrum = fft.rfft2(lags / power, (size, size))
  ends = slice(reach, reach + side)

  def slope(k: Array) -> Array:
    product = fft.irfft2(spectrum * fft.rfft2(k, (size, size)), (size, size))
    return product[ends, ends] + _KERNEL_RIDGE * k - target / power

  step = 1 / (np.abs(spectrum).max() + _KERNEL_RIDGE)
  kernel = ahead = np.full((side, side), 1 / side**2, np.float32)
  t = 1.0
  for _ in range(_KERNEL_STEPS):
    last, kernel = kernel, np.maximum(ahead - step * slope(ahead), 0)
    t, last_t = (1 + np.sqrt(1 + 4 * t * t)) / 2, t
    ahead = kernel + (last_t - 1) / t * (kernel - last)
  total = kernel.sum()
  return kernel / total if total > 0 else periodic.impulse(side)


def _without_specks(kernel: Array) -> Array:
  """The kernel without faint weights and small detached parts."""
  kernel = np.where(kernel < _FAINT * kernel.max(), 0, kernel)
  parts, num = ndimage.label(kernel > 0, np.ones((3, 3)))
  mass = ndimage.sum(kernel, parts, np.arange(num + 1))
  small = mass < _DETACHED * kernel.sum()
  kernel = np.where(small[parts], 0, kernel)
  return kernel / kernel.sum()


def _centred(kernel: Array) -> Array:
  """The kernel with its centre of mass in the central pixel."""
  offset = np.arange(len(kernel)) - len(kernel) // 2
  shift = [-round(float(kernel.sum(axis=1 - axis) @ offset)) for axis in (0, 1)]
  moved = ndimage.shift(kernel, shift, order=0, mode='constant')
  return moved / moved.sum()


def _sparsity(grey: Array, kernel: Array) -> float:
  """The figure by which kernels are compared: see the module."""
  sharp = periodic.deconvolve(grey, kernel)
  cut = min(15, min(grey.shape) // 4)
  parts = [part[cut:-cut, cut:-cut] for part in periodic.gradient(sharp)]
  size = np.abs(np.stack(parts))
  return float(np.mean(np.sqrt(size)) ** 2 / np.mean(size))


def _agreements(kernels: list[Array]) -> list[float]:
  """Mean correlation of each kernel with the three most like it."""
  found = []
  for i, kernel in enumerate(kernels):
    others = kernels[:i] + kernels[i + 1 :]
    likeness = sorted(_correlation(kernel, other) for other in others)
    found.append(float(np.mean(likeness[-3:])))
  return found


def _correlation(first: Array, second: Array) -> float:
  """Correlation of two kernels at the best shift, a little smoothed."""
  side = 2 * max(len(first), len(second)) + 9
  spectra = []
  for kernel in (first, second):
    plane = np.zeros((side, side))
    plane[: len(kernel), : len(kernel)] = kernel
    plane = ndimage.gaussian_filter(plane, 1, mode='wrap')
    spectra.append(fft.rfft2(plane / np.linalg.norm(plane)))
  product = spectra[0] * np.conj(spectra[1])
  return float(fft.irfft2(product, (side, side)).max())


def _trimmed(kernel: Array) -> np.ndarray:
  """The kernel without its empty margin, still odd and centred, float64."""
  half = len(kernel) // 2
  offset = np.abs(np.indices(kernel.shape) - half).max(axis=0)
  reach = max(1, int(offset[kernel > 0].max()))
  inside = slice(half - reach, half + reach + 1)
  cut = kernel[inside, inside].astype(np.float64)
  return cut / cut.sum()


def _odd(side: float) -> int:
  """The odd number nearest to a side, at least the smallest one."""
  return max(_SMALLEST, 2 * round((side - 1) / 2) + 1)


def _at_side(kernel: Array, side: int) -> Array:
  """The kernel of the next scale."""
  if len(kernel) < 5:
    pad = (side - len(kernel)) // 2
    return np.pad(kernel, pad)
  larger = np.maximum(_resize(kernel, (side, side)), 0)
  return larger / larger.sum()


def _resize(image: Array, size: tuple[int, int]) -> Array:
  """An image [H, W] at another size, antialiased."""
  zoom = [new / old for new, old in zip(size, image.shape, strict=True)]
  smooth = ndimage.gaussian_filter(
    image, [max(0, (1 / z - 1) / 2) for z in zoom]
  )
  places = [
    (np.arange(n) + 0.5) / z - 0.5 for n, z in zip(size, zoom, strict=True)
  ]
  grid = np.meshgrid(*places, indexing='ij')
  found = ndimage.map_coordinates(smooth, grid, order=1, mode='nearest')
  return found.astype(np.float32)
