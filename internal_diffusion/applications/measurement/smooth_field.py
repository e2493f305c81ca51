"""Smooth fields: cubic B-splines on a coarse grid, and their prior.

A field has two components (u, v), [2, H, W], in pixels. It is

  d(y, x) = sum_ij c_ij b(y / h - i) b(x / h - j),

with coefficients c on a grid of spacing h and the cubic B-spline b. Its prior
penalises third differences of the coefficients,

  (lambda / 2) sum_k binomial(3, k) |D_y^k D_x^(3-k) c|^2,

so that motions of the second degree (shift, shear, rotation, strain and their
gradients) cost nothing, and there are no motion boundaries. Given pixels with
precisions P (2x2, symmetric), the posterior's precision of the coefficients is

  A = B^T P B + lambda L,

and A c = r is solved by conjugate gradients, preconditioned by the mean of P
and the eigenvalues of L under the cosine transform.

A field with precision q at each pixel keeps a wave of wave number k by the
factor 1 / (1 + (k / k0)^6), k0^6 = q h^2 / (lambda h^6). It averages as much
noise as a window of 15.6 / k0^2 pixels.
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.fft
import scipy.sparse

_Matrix = Any  # A sparse matrix; scipy has no types.
_ORDER = 3  # Of the differences that the prior penalises.
_WINDOW_AREA = 15.6  # Of the equivalent window, in units of 1 / k0^2.
_TOLERANCE, _MAX_STEPS = 1e-3, 100  # Of the conjugate gradients.


@dataclasses.dataclass(frozen=True)
class SplineGrid:
  """Grid of the coefficients of a field.

  Attributes:
    height: Height H of the field in pixels.
    width: Width W of the field in pixels.
    spacing: Distance h of the coefficients, in pixels.
  """

  height: int
  width: int
  spacing: int = 4

  @functools.cached_property
  def shape(self) -> tuple[int, int]:
    """Number of coefficients along y and x."""
    return self._down.shape[1], self._right.shape[1]

  def zeros(self) -> np.ndarray:
    """Coefficients of the field 0, [2, m, n]."""
    return np.zeros((2, *self.shape))

  def field(self, coefficients: np.ndarray) -> np.ndarray:
    """The field [K, H, W] of coefficients [K, m, n]."""
    return np.stack(
      [(self._right @ (self._down @ part).T).T for part in coefficients]
    )

  def gather(self, values: np.ndarray) -> np.ndarray:
    """The transpose of `field`: [K, H, W] to [K, m, n]."""
    return np.stack(
      [(self._right.T @ (self._down.T @ part).T).T for part in values]
    )

  def roughness(self, coefficients: np.ndarray) -> np.ndarray:
    """L c for coefficients [K, m, n]."""
    found = np.zeros_like(coefficients)
    for weight, down, right in self._differences:
      for part, out in zip(coefficients, found, strict=True):
        difference = (right @ (down @ part).T).T
        out += weight * (right.T @ (down.T @ difference).T).T
    return found

  def random_roughness(self, rng: np.random.Generator) -> np.ndarray:
    """A random vector of covariance L, [2, m, n]."""
    found = self.zeros()
    for weight, down, right in self._differences:
      for out in found:
        noise = rng.standard_normal((down.shape[0], right.shape[0]))
        out += math.sqrt(weight) * (right.T @ (down.T @ noise).T).T
    return found

  def penalty(self, precision: np.ndarray, window: np.ndarray) -> np.ndarray:
    """Lambda of a window.

    Args:
      precision: Mean precision q of a pixel, in 1 / pixels^2.
      window: Side of the square window that averages as much noise, in pixels.
    """
    squared = _WINDOW_AREA / np.square(window)  # k0^2.
    return precision / (self.spacing**4 * squared**_ORDER)

  def window(self, precision: np.ndarray, penalty: np.ndarray) -> np.ndarray:
    """The window's side in pixels; inverts `penalty`."""
    cubed = precision / (self.spacing**4 * penalty)
    return np.sqrt(_WINDOW_AREA / cubed ** (1 / _ORDER))

  def solve(
    self,
    precision: np.ndarray,
    penalty: np.ndarray,
    right: np.ndarray,
    start: np.ndarray | None = None,
  ) -> np.ndarray:
    """Solves (B^T P B + lambda L) c = r.

    Args:
      precision: P as (uu, uv, vv) of each pixel, [3, H, W].
      penalty: lambda of u and of v, above 0, [2].
      right: r, [2, m, n].
      start: First guess of c; None is 0.
    """
    level = self.spacing**2 * precision[[0, 2]].mean(axis=(1, 2))[:, None, None]
    stiffness = penalty[:, None, None]
    scale = np.maximum(level, 1e-12) + stiffness * self._spectrum

    def product(values: np.ndarray) -> np.ndarray:
      weighted = apply_precision(precision, self.field(values))
      return self.gather(weighted) + stiffness * self.roughness(values)

    def precondition(values: np.ndarray) -> np.ndarray:
      waves = scipy.fft.dctn(values, axes=(1, 2), norm='ortho') / scale
      return scipy.fft.idctn(waves, axes=(1, 2), norm='ortho')

    return _conjugate_gradients(product, precondition, right, start)

  def sample(
    self, rng: np.random.Generator, precision: np.ndarray, penalty: np.ndarray
  ) -> np.ndarray:
    """Coefficients drawn from N(0, A^-1), [2, m, n]; see `solve`."""
    uu, uv, vv = precision
    low = np.sqrt(np.maximum(uu, 1e-12))
    skew = uv / low
    rest = np.sqrt(np.maximum(vv - skew**2, 0))
    noise = rng.standard_normal((2, self.height, self.width))
    observed = np.stack([low * noise[0], skew * noise[0] + rest * noise[1]])
    right = self.gather(observed)
    right += np.sqrt(penalty)[:, None, None] * self.random_roughness(rng)
    return self.solve(precision, penalty, right)

  def fit(
    self, values: np.ndarray, weight: np.ndarray, *, window: float
  ) -> np.ndarray:
    """Coefficients of a field [2, H, W] with weights [H, W], smoothed."""
    precision = np.stack([weight, np.zeros_like(weight), weight])
    level = np.full(2, max(float(weight.mean()), 1e-12))
    penalty = self.penalty(level, np.full(2, window))
    return self.solve(precision, penalty, self.gather(weight * values))

  @functools.cached_property
  def _down(self) -> _Matrix:
    return _basis(self.height, self.spacing)

  @functools.cached_property
  def _right(self) -> _Matrix:
    return _basis(self.width, self.spacing)

  @functools.cached_property
  def _differences(
    self,
  ) -> list[tuple[int, _Matrix, _Matrix]]:
    """Weights of the terms of the penalty, and their differences."""
    rows, columns = self.shape
    return [
      (
        math.comb(_ORDER, k),
        _difference(rows, k),
        _difference(columns, _ORDER - k),
      )
      for k in range(_ORDER + 1)
    ]

  @functools.cached_property
  def _spectrum(self) -> np.ndarray:
    """Eigenvalues of L under the cosine transform, but for the borders."""
    down, right = (
      2 - 2 * np.cos(np.pi * np.arange(side) / side) for side in self.shape
    )
    return np.add.outer(down, right) ** _ORDER


def apply_precision(precision: np.ndarray, field: np.ndarray) -> np.ndarray:
  """P d for precisions (uu, uv, vv) [3, H, W] and a field [2, H, W]."""
  uu, uv, vv = precision
  return np.stack(
    [uu * field[0] + uv * field[1], uv * field[0] + vv * field[1]]
  )


def _conjugate_gradients(
  product: Callable[[np.ndarray], np.ndarray],
  precondition: Callable[[np.ndarray], np.ndarray],
  right: np.ndarray,
  start: np.ndarray | None,
) -> np.ndarray:
  """The solution of A c = r, [2, m, n]."""
  solution = np.zeros_like(right) if start is None else start.copy()
  residual = right - product(solution) if start is not None else right.copy()
  ahead = precondition(residual)
  direction, energy = ahead, float(np.sum(residual * ahead))
  bound = _TOLERANCE**2 * float(np.sum(right * precondition(right)))
  for _ in range(_MAX_STEPS):
    if energy <= bound or energy == 0:
      break
    moved = product(direction)
    step = energy / float(np.sum(direction * moved))
    solution = solution + step * direction
    residual = residual - step * moved
    ahead = precondition(residual)
    old, energy = energy, float(np.sum(residual * ahead))
    direction = ahead + energy / old * direction
  return solution


def _basis(side: int, spacing: int) -> _Matrix:
  """Cubic B-splines at the pixels of a line, [side, m]."""
  num = math.ceil((side - 1) / spacing) + 3
  place = np.arange(side) / spacing
  distance = np.abs(place[:, None] - np.arange(-1, num - 1)[None])
  inner = 2 / 3 - distance**2 + distance**3 / 2
  outer = np.maximum(2 - distance, 0) ** 3 / 6
  return scipy.sparse.csr_matrix(np.where(distance < 1, inner, outer))


def _difference(side: int, order: int) -> _Matrix:
  """Differences of an order along a line, [side - order, side]."""
  return scipy.sparse.csr_matrix(np.diff(np.eye(side), order, axis=0))
