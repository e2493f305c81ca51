"""Distances between the distributions of two sets of patches.

A set of patches is an array of finite floats [N, P, P, C] or [N, D]; every
function flattens patches to vectors of length D. Each distance has a bias that
depends on N, so compare it with the same distance between two real sets. Sets
of another form raise `ValueError`.

References:
  Rabin et al. 2012, Wasserstein barycenter and its application to texture
    mixing; Bonneel et al. 2015, Sliced and Radon Wasserstein barycenters.
  Gretton et al. 2012, A kernel two-sample test.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from scipy.spatial import distance

from internal_diffusion import arrays
from internal_diffusion.jax_settings import with_own_settings

Array = jax.Array

# Projections at once: a tile of N x 64 values.
_PROJECTION_CHUNK = 64
_MMD_CHUNK = 128  # Patches at once, compared with all others.
# By default GPUs round float32 products to a shorter mantissa.
_EXACT = jax.lax.Precision.HIGHEST


def as_vectors(*, min_patches: int = 2, **sets: ArrayLike) -> list[np.ndarray]:
  """Checks sets of patches and converts them to float32 [N, D].

  Raises ValueError if a set, named in the message, is invalid or has fewer than
  `min_patches`, or the lengths D differ.
  """
  vectors: dict[str, np.ndarray] = {}
  for name, patches in sets.items():
    values = np.asarray(patches)
    # NumPy's own `issubdtype` does not count bfloat16 among the floats.
    if not jnp.issubdtype(values.dtype, jnp.floating):
      raise ValueError(f'`{name}` must hold floats, got {values.dtype}.')
    if values.ndim not in (2, 4) or not values.size:
      raise ValueError(
        f'`{name}` must be [N, P, P, C] or [N, D] with no empty axis, got shape'
        f' {values.shape}.'
      )
    if len(values) < min_patches:
      raise ValueError(
        f'`{name}` must hold at least {min_patches} patches, got {len(values)}.'
      )
    values = values.reshape(len(values), -1).astype(np.float32)
    if not np.all(np.isfinite(values)):
      raise ValueError(f'`{name}` must be finite, got NaN or infinite values.')
    vectors[name] = values
  _check_same(vectors, axis=1, what='patches of one length')
  return list(vectors.values())


def check_same_size(**sets: np.ndarray) -> None:
  """Raises ValueError unless all sets have the same number of patches."""
  _check_same(sets, axis=0, what='equally many patches')


def _check_same(sets: dict[str, np.ndarray], *, axis: int, what: str) -> None:
  sizes = {name: values.shape[axis] for name, values in sets.items()}
  if len(set(sizes.values())) > 1:
    names = ', '.join(f'`{name}`' for name in sizes)
    raise ValueError(f'{names} must hold {what}, got {sizes}.')


@with_own_settings
def sliced_wasserstein(
  key: Array, x: ArrayLike, y: ArrayLike, *, num_projections: int = 512
) -> float:
  """Sliced 2-Wasserstein distance (Rabin et al. 2012; Bonneel et al. 2015).

  SW_2^2 = E_theta W_2^2(theta . x, theta . y) over unit vectors theta. In one
  dimension, W_2^2 is the integral over u in [0, 1] of the squared difference of
  the two quantile functions. For samples these are step functions, so a sum
  over the steps of both is exact, also for sets of different size.

  Args:
    key: Key of the projections.
    x: Patches, [N, P, P, C] or [N, D].
    y: Patches, [M, P, P, C] or [M, D].
    num_projections: Number of random directions.

  Returns:
    SW_2, in the unit of the values; a shift by v gives `|v| / sqrt(D)`.
  """
  arrays.check_positive_int('num_projections', num_projections)
  xs, ys = as_vectors(x=x, y=y)
  num_x, num_y = len(xs), len(ys)
  # In units of 1 / (N M) all steps end at integers.
  edges = np.union1d(np.arange(num_x + 1) * num_y, np.arange(num_y + 1) * num_x)
  weights = (np.diff(edges) / (num_x * num_y)).astype(np.float32)
  steps_x, steps_y = edges[:-1] // num_y, edges[:-1] // num_x
  directions = jax.random.normal(key, (num_projections, xs.shape[1]))
  directions /= jnp.linalg.norm(directions, axis=1, keepdims=True)
  squares = _wasserstein_squares(directions, xs, ys, weights, steps_x, steps_y)
  return float(np.sqrt(np.mean(np.asarray(squares, np.float64))))


@jax.jit
def _wasserstein_squares(
  directions: Array,
  x: Array,
  y: Array,
  weights: Array,
  steps_x: Array,
  steps_y: Array,
) -> Array:
  """W_2^2 along each direction, [num_projections]."""

  def along(direction: Array) -> Array:
    quantiles_x = jnp.sort(jnp.matmul(x, direction, precision=_EXACT))[steps_x]
    quantiles_y = jnp.sort(jnp.matmul(y, direction, precision=_EXACT))[steps_y]
    return jnp.sum(weights * (quantiles_x - quantiles_y) ** 2)

  return jax.lax.map(along, directions, batch_size=_PROJECTION_CHUNK)


class SquaredMmd(NamedTuple):
  """Squared maximum mean discrepancy.

  Attributes:
    value: Unbiased estimate; for equal distributions its mean is 0, so it may
      be negative.
    null_std: Standard deviation of the estimate under equal distributions, the
      unit for `value`.
  """

  value: float
  null_std: float


@with_own_settings
def mmd_squared(
  x: ArrayLike, y: ArrayLike, *, bandwidths: Sequence[float]
) -> SquaredMmd:
  """Unbiased squared MMD under a mean of Gaussian kernels.

  The U-statistic of Gretton et al. 2012, eq. 4, and its standard deviation
  under the null hypothesis (appendix B.3): with pairs z_i = (x_i, y_i),

    h(z_i, z_j) = k(x_i, x_j) + k(y_i, y_j) - k(x_i, y_j) - k(x_j, y_i),
    MMD^2 = mean of h over i != j,     variance = 2 mean of h^2 / (N (N - 1)).

  Args:
    x: Patches, [N, P, P, C] or [N, D].
    y: Patches of the same shape.
    bandwidths: Standard deviations of the Gaussian kernels, whose mean is k;
      see `median_bandwidths`.
  """
  xs, ys = as_vectors(x=x, y=y)
  check_same_size(x=xs, y=ys)
  if not bandwidths or not all(0 < b < np.inf for b in bandwidths):
    raise ValueError(
      f'`bandwidths` must be positive and finite numbers, got {bandwidths}.'
    )
  # Centred values have smaller rounding errors in the squared distances.
  centre = ys.mean(axis=0)
  scales = jnp.asarray(bandwidths, jnp.float32)
  sums = _mmd_sums(jnp.stack([xs - centre, ys - centre]), scales)
  num_pairs = len(xs) * (len(xs) - 1)
  mean, mean_square = np.sum(np.asarray(sums, np.float64), axis=0) / num_pairs
  return SquaredMmd(float(mean), float(np.sqrt(2 * mean_square / num_pairs)))


@jax.jit
def _mmd_sums(pairs: Array, scales: Array) -> Array:
  """Sums over j of h(z_i, z_j) and of its square, [N, 2], for z [2, N, D]."""
  norms = jnp.sum(pairs**2, axis=-1)

  def kernel(i: Array, first: int, second: int) -> Array:
    products = jnp.matmul(pairs[second], pairs[first, i], precision=_EXACT)
    squares = norms[first, i] + norms[second] - 2 * products
    exponents = jnp.maximum(squares, 0)[None] / (2 * scales[:, None] ** 2)
    return jnp.mean(jnp.exp(-exponents), axis=0)

  def sums(i: Array) -> Array:
    h = kernel(i, 0, 0) + kernel(i, 1, 1) - kernel(i, 0, 1) - kernel(i, 1, 0)
    h = h.at[i].set(0)
    return jnp.stack([jnp.sum(h), jnp.sum(h**2)])

  return jax.lax.map(sums, jnp.arange(pairs.shape[1]), batch_size=_MMD_CHUNK)


def median_bandwidths(
  patches: ArrayLike,
  *,
  factors: Sequence[float] = (0.25, 0.5, 1.0, 2.0),
  max_patches: int = 1000,
) -> tuple[float, ...]:
  """Bandwidths around the median distance (Gretton et al. 2012, section 8).

  One bandwidth detects differences of one scale. Smaller ones are added because
  the contrast of photographs varies and most distances are below the median.

  Args:
    patches: Real patches, [N, P, P, C] or [N, D], not all equal.
    factors: Bandwidths in units of the median distance.
    max_patches: Maximum number of patches, evenly spaced in the set, to use.
  """
  (vectors,) = as_vectors(patches=patches)
  arrays.check_positive_int('max_patches', max_patches)
  stride = -(-len(vectors) // max_patches)
  pairwise = distance.pdist(vectors[::stride])
  # Flat areas have many equal patches.
  pairwise = pairwise[pairwise > 0]
  if not pairwise.size:
    raise ValueError('`patches` must differ, got equal ones.')
  median = float(np.median(pairwise))
  return tuple(factor * median for factor in factors)


def principal_variance_ratios(
  generated: ArrayLike, reference: ArrayLike
) -> np.ndarray:
  """Variance ratio of generated to real patches along principal components.

  The components are those of the real set. A ratio below 1 means a lack of
  variety or detail, above 1 it means noise. Because the components are fitted
  to the reference, the last ratios of another real set are above 1 too: by
  2 D / M for Gaussian data, by more for heavy tails.

  Args:
    generated: Patches, [N, P, P, C] or [N, D].
    reference: Real patches, [M, P, P, C] or [M, D], not all equal.

  Returns:
    Ratios [K], by decreasing variance of the real set. K is D without the
    components in which the real set is constant.
  """
  made, real = as_vectors(generated=generated, reference=reference)
  covariance = np.cov(real, rowvar=False, dtype=np.float64)
  variances, components = np.linalg.eigh(np.atleast_2d(covariance))
  varies = variances > 1e-10 * variances[-1]
  if not np.any(varies):
    raise ValueError('`reference` must vary, got equal patches.')
  coordinates = made.astype(np.float64) @ components[:, varies]
  ratios = coordinates.var(axis=0, ddof=1) / variances[varies]
  return ratios[::-1]
