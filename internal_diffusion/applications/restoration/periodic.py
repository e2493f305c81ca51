"""Blur of pictures that wrap around, by the Fourier transform.

A picture is first extended so that its opposite borders meet smoothly; then
convolutions are products of spectra, and quadratic problems are solved exactly.
"""

import numpy as np
from scipy import fft

Array = np.ndarray

_DATA_COST = 3e-3  # Of gradients to the power _POWER, against the data.
_POWER = 0.8  # Of natural pictures: Krishnan & Fergus 2009.
_MAX_WEIGHT = 256.0


def wrap(image: Array, margin: int) -> Array:
  """Extends [H, W] below and to the right, at least `margin`, to wrap around.

  What is added goes over from the mirrored end to the mirrored beginning.
  """
  for axis in (0, 1):
    length = image.shape[axis]
    added = fft.next_fast_len(length + margin, real=True) - length
    pad = [(0, 0), (0, 0)]
    pad[axis] = (0, added)
    end = np.pad(image, pad, mode='symmetric').take(
      range(length, length + added), axis
    )
    pad[axis] = (added, 0)
    start = np.pad(image, pad, mode='symmetric').take(range(added), axis)
    weight = 0.5 - 0.5 * np.cos(np.pi * (np.arange(added) + 1) / (added + 1))
    weight = np.expand_dims(weight, 1 - axis)
    image = np.concatenate([image, (1 - weight) * end + weight * start], axis)
  return image.astype(np.float32)


def transfer(kernel: Array, shape: tuple[int, ...]) -> Array:
  """Spectrum of the convolution by a kernel of odd sides."""
  plane = np.zeros(shape, np.float32)
  plane[: kernel.shape[0], : kernel.shape[1]] = kernel
  origin = (-(kernel.shape[0] // 2), -(kernel.shape[1] // 2))
  return fft.rfft2(np.roll(plane, origin, (0, 1)))


def impulse(side: int) -> Array:
  """The kernel [side, side] that changes nothing."""
  kernel = np.zeros((side, side), np.float32)
  kernel[side // 2, side // 2] = 1
  return kernel


def gradient(x: Array) -> tuple[Array, Array]:
  """Differences to the right and lower neighbours."""
  return np.roll(x, -1, 1) - x, np.roll(x, -1, 0) - x


def gradient_adjoint(across: Array, down: Array) -> Array:
  """The adjoint of `gradient`."""
  return np.roll(across, 1, 1) - across + np.roll(down, 1, 0) - down


def laplacian(shape: tuple[int, ...]) -> Array:
  """Spectrum of `gradient_adjoint` of `gradient`."""
  plane = np.zeros(shape, np.float32)
  plane[0, 0] = 1
  return fft.rfft2(gradient_adjoint(*gradient(plane))).real


def deconvolve(image: Array, kernel: Array) -> Array:
  """The picture [H, W] before a blur, with a sparse prior of its gradients.

  Half-quadratic splitting (Krishnan & Fergus 2009) of

    min_x |k * x - y|^2 + cost sum |grad x|^0.8.
  """
  height, width = image.shape
  wrapped = wrap(image, 2 * max(kernel.shape))
  response = transfer(kernel, wrapped.shape)
  data, power = np.conj(response) * fft.rfft2(wrapped), np.abs(response) ** 2
  curvature = laplacian(wrapped.shape)
  x = fft.irfft2(data / (power + 1e-2 * curvature + 1e-4), wrapped.shape)
  weight = 1.0
  while weight < _MAX_WEIGHT:
    parts = [_shrink(part, weight) for part in gradient(x)]
    pull = _DATA_COST * weight / 2
    right = data + pull * fft.rfft2(gradient_adjoint(*parts))
    x = fft.irfft2(right / (power + pull * curvature), wrapped.shape)
    weight *= 1.6
  return x[:height, :width]


def _shrink(part: Array, weight: float) -> Array:
  """argmin_v |v|^p + weight / 2 (v - part)^2, by fixed-point steps."""
  size = np.abs(part)
  v = size
  for _ in range(4):
    slope = _POWER * np.maximum(v, 1e-6) ** (_POWER - 1)
    v = np.maximum(size - slope / weight, 0)
  is_better = v**_POWER + weight / 2 * (v - size) ** 2 < weight / 2 * size**2
  return np.sign(part) * np.where(is_better, v, 0)
