"""A field of vectors from what every pixel alone says about its own.

Every pixel has a Gaussian likelihood: the place o where it is largest and its
precision P, weak where nothing is seen, strong across an edge and weak along
it. Neighbours mostly differ by the slope s of what is around, less so where the
picture has an edge, and are allowed to be apart: the field f is where

  sum_i (f_i - o_i)^T P_i (f_i - o_i) / 2
    + lambda sum_ij w_ij sqrt(|f_j - f_i - s_ij|^2 + e^2)

is least, the maximum of a product of distributions. The root is a total
variation that is smooth at 0; its minimum is that of a sequence of sums of
squares, each with the weights lambda w_ij / sqrt(...) of the one before
(iteratively reweighted least squares; Liu 2009, appendix A, for flow), solved
by conjugate gradients. The slopes are those of the field before
(`local_slopes`). Without them the total variation makes stairs of what slants,
which the total generalised variation (Bredies et al. 2010) avoids likewise.

With the last weights and slopes the field is Gaussian. Its samples are the
solutions to data and differences with noise of their own precision on them
(Papandreou & Yuille 2010).

References:
  Bredies, Kunisch & Pock 2010, Total generalized variation.
  Liu 2009, Beyond pixels: exploring new representations and applications for
    motion analysis.
  Papandreou & Yuille 2010, Gaussian sampling by local perturbations.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from internal_diffusion import arrays
from internal_diffusion.sampling.local_slopes import local_slopes

Array = jax.Array

_TINY = 1e-9  # Precision, in 1 / pixels^2, that keeps a matrix invertible.
_TOLERANCE = 1e-6  # Of a solution, relative; below, float32 has nothing left.


class FieldPrior(NamedTuple):
  """How fields are expected to be.

  Attributes:
    smoothness: lambda, in 1 / pixels.
    softness: e, in pixels.
    edge_contrast: Difference of brightness between pixels, in [-1, 1], at which
      w has fallen to 1/e.
    slope_scale: How far around slopes are found, a standard deviation in
      pixels.
    slope_contrast: How far, in pixels, a difference may be off a slope and
      still count in it.
  """

  smoothness: float
  softness: float
  edge_contrast: float
  slope_scale: float
  slope_contrast: float


class FieldPosterior(NamedTuple):
  """A Gaussian field.

  Attributes:
    mean: Its mean, which is its maximum, [H, W, 2].
    precision: P of every pixel, [H, W, 2, 2].
    along_x: Weight of the difference to the next pixel in a row, [H, W]; the
      last column has 0.
    along_y: The same in a column; the last row has 0.
  """

  mean: Array
  precision: Array
  along_x: Array
  along_y: Array


def fuse(
  observed: Array,
  precision: Array,
  guide: Array,
  start: Array,
  *,
  prior: FieldPrior,
  num_reweightings: int = 5,
  num_iterations: int = 30,
) -> FieldPosterior:
  """The field that agrees best with all pixels and with its neighbours.

  Args:
    observed: o, [H, W, 2].
    precision: P, symmetric and non-negative, [H, W, 2, 2]; 0 where a pixel has
      nothing to say.
    guide: The picture whose edges fields may have, [H, W, C].
    start: Where to begin, [H, W, 2].
    prior: How fields are expected to be.
    num_reweightings: How often weights and slopes are found.
    num_iterations: Of conjugate gradients each time.
  """
  edges_x, edges_y = (
    jnp.exp(-jnp.linalg.norm(d, axis=-1) / prior.edge_contrast)
    for d in _differences(guide)
  )
  edges = edges_x.at[:, -1].set(0), edges_y.at[-1].set(0)

  def link(edges: Array, difference: Array) -> tuple[Array, Array]:
    """Weights of the differences in one direction, and their slopes."""
    slope = local_slopes(
      difference,
      edges,
      scale=prior.slope_scale,
      contrast=prior.slope_contrast,
    )
    off = jnp.sum((difference - slope) ** 2, axis=-1)
    weight = prior.smoothness * edges / jnp.sqrt(off + prior.softness**2)
    return weight, slope

  def reweight(_: int, found: FieldPosterior) -> FieldPosterior:
    (along_x, slope_x), (along_y, slope_y) = map(
      link, edges, _differences(found.mean)
    )
    around = FieldPosterior(found.mean, precision, along_x, along_y)
    right = times(precision, observed) + _differences_transposed(
      along_x[..., None] * slope_x, along_y[..., None] * slope_y
    )
    mean = _solve(around, right, found.mean, num_iterations)
    return around._replace(mean=mean)

  first = FieldPosterior(start, precision, *edges)
  return jax.lax.fori_loop(0, num_reweightings, reweight, first)


def sample_fields(
  key: Array,
  posterior: FieldPosterior,
  *,
  num_samples: int,
  num_iterations: int = 100,
) -> Array:
  """Samples of a Gaussian field, [num_samples, H, W, 2].

  Args:
    key: Of the noise.
    posterior: The field.
    num_samples: How many.
    num_iterations: Of conjugate gradients.
  """
  arrays.check_positive_int('num_samples', num_samples)
  root = _root(posterior.precision)

  def sample(key: Array) -> Array:
    noise = jax.random.normal(key, (3, *posterior.mean.shape))
    right = times(root, noise[0]) + _differences_transposed(
      jnp.sqrt(posterior.along_x)[..., None] * noise[1],
      jnp.sqrt(posterior.along_y)[..., None] * noise[2],
    )
    start = jnp.zeros_like(posterior.mean)
    return posterior.mean + _solve(posterior, right, start, num_iterations)

  return jax.lax.map(sample, jax.random.split(key, num_samples))


def _solve(
  field: FieldPosterior, right: Array, start: Array, num_iterations: int
) -> Array:
  """Conjugate gradients, preconditioned by the blocks of every pixel."""
  along_x, along_y = field.along_x, field.along_y
  around = along_x + along_y
  around += jnp.pad(along_x, ((0, 0), (1, 0)))[:, :-1]
  around += jnp.pad(along_y, ((1, 0), (0, 0)))[:-1]
  block = (
    field.precision + (around + _TINY)[..., None, None] * jnp.eye(2)[None, None]
  )
  inverse = inverse_2x2(block)

  def product(values: Array) -> Array:
    d_x, d_y = _differences(values)
    smooth = _differences_transposed(
      along_x[..., None] * d_x, along_y[..., None] * d_y
    )
    return times(field.precision, values) + smooth

  solution, _ = jax.scipy.sparse.linalg.cg(
    product,
    right,
    x0=start,
    tol=_TOLERANCE,
    maxiter=num_iterations,
    M=lambda values: times(inverse, values),
  )
  return solution


def inverse_2x2(matrix: Array) -> Array:
  """The inverses of symmetric matrices [..., 2, 2] of positive determinant."""
  xx, xy, yy = matrix[..., 0, 0], matrix[..., 0, 1], matrix[..., 1, 1]
  entries = jnp.stack([yy, -xy, -xy, xx], axis=-1)
  inverse = entries / (xx * yy - xy**2)[..., None]
  return inverse.reshape(matrix.shape)


def nonnegative_2x2(matrix: Array) -> Array:
  """The nearest symmetric matrices [..., 2, 2] without negative eigenvalues.

  Of eigenvalues a > b with b below 0, what is left is a (M - b I) / (a - b).
  """
  xx, xy, yy = matrix[..., 0, 0], matrix[..., 0, 1], matrix[..., 1, 1]
  middle = (xx + yy) / 2
  half = jnp.sqrt(jnp.square((xx - yy) / 2) + jnp.square(xy))
  high, low = middle + half, middle - half
  share = jnp.maximum(high, 0) / jnp.maximum(2 * half, _TINY)
  identity = jnp.broadcast_to(jnp.eye(2), matrix.shape)
  part = share[..., None, None] * (matrix - low[..., None, None] * identity)
  return jnp.where((low < 0)[..., None, None], part, matrix)


def _root(matrix: Array) -> Array:
  """Lower triangular roots of matrices [..., 2, 2], which may be singular."""
  xx, xy, yy = matrix[..., 0, 0], matrix[..., 0, 1], matrix[..., 1, 1]
  first = jnp.sqrt(jnp.maximum(xx, _TINY))
  skew = xy / first
  last = jnp.sqrt(jnp.maximum(yy - skew**2, 0))
  entries = jnp.stack([first, jnp.zeros_like(first), skew, last], axis=-1)
  return entries.reshape(matrix.shape)


def times(matrix: Array, values: Array) -> Array:
  """Matrices [..., 2, 2] times vectors [..., 2], [..., 2]."""
  x, y = values[..., 0], values[..., 1]
  rows = [matrix[..., i, 0] * x + matrix[..., i, 1] * y for i in range(2)]
  return jnp.stack(rows, axis=-1)


def _differences(values: Array) -> tuple[Array, Array]:
  """To the next pixel along x and along y, [H, W, C] each; 0 at the end."""
  last = values[:, -1:], values[-1:]
  return (
    jnp.diff(values, axis=1, append=last[0]),
    jnp.diff(values, axis=0, append=last[1]),
  )


def _differences_transposed(along_x: Array, along_y: Array) -> Array:
  """The transposed of `_differences`, of values that end in 0."""
  along_x, along_y = along_x.at[:, -1].set(0), along_y.at[-1].set(0)
  return -(
    jnp.diff(along_x, axis=1, prepend=0) + jnp.diff(along_y, axis=0, prepend=0)
  )
