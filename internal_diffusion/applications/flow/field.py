"""A smooth field of vectors fused from Gaussian likelihoods of its pixels.

Each pixel has a Gaussian likelihood with its maximum at o and precision P: weak
in flat areas, strong across an edge and weak along it. Neighbours mostly differ
by the local slope s, with less certainty where the image has an edge, and
jumps are possible. The field f minimises

  sum_i (f_i - o_i)^T P_i (f_i - o_i) / 2
    + lambda sum_ij w_ij sqrt(|f_j - f_i - s_ij|^2 + e^2),

the negative log of a product of distributions. The root is a total variation
that is smooth at 0; its minimum is that of a sequence of sums of squares, each
with the weights lambda w_ij / sqrt(...) of the one before (iteratively
reweighted least squares; Liu 2009, Beyond pixels, appendix A, for flow), solved
by conjugate gradients. The slopes are those of the field before. Without them,
the total variation turns slopes into stairs, which the total generalised
variation avoids likewise (Bredies et al. 2010, Total generalized variation).

The slope around a pixel minimises

  sum_j g_j w_j log(c^2 + |d_j - s|^2)

over differences d, with Gaussian weights g of the distance and weights w of the
differences: Cauchy's M-estimator, found by reweighted means from slope 0.

With the last weights and slopes the field is Gaussian. Its samples are the
solutions for likelihoods and differences with noise of their own precision
(Papandreou & Yuille 2010, Gaussian sampling by local perturbations).
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from internal_diffusion.applications.flow import small_matrices

Array = jax.Array

_TINY = 1e-9  # Precision, in 1 / pixels^2, that keeps a matrix invertible.
_TOLERANCE = 1e-6  # Relative error of a solution, the limit of float32.
_NUM_SLOPE_REWEIGHTINGS = 2
_NUM_SAMPLE_STEPS = 100  # Conjugate gradient steps of a sample.


class FieldPrior(NamedTuple):
  """Prior of a field.

  Attributes:
    smoothness: lambda, in 1 / pixels.
    edge_contrast: Difference of brightness between neighbours, in units of [-1,
      1], at which w has fallen to 1/e.
    softness: e, in pixels; below it, the penalty is quadratic.
    slope_scale: Standard deviation of g, in pixels.
    slope_contrast: c, in pixels.
  """

  smoothness: float
  edge_contrast: float
  softness: float = 0.01
  slope_scale: float = 8.0
  slope_contrast: float = 0.1


class FieldPosterior(NamedTuple):
  """A Gaussian field.

  Attributes:
    mean: Mean and mode, [H, W, 2].
    precision: P of each pixel, [H, W, 2, 2].
    along_x: Weight of the difference to the next pixel in a row, [H, W]; 0 in
      the last column.
    along_y: Weight of the difference to the next pixel in a column, [H, W]; 0
      in the last row.
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
  """The posterior of a field given likelihoods of its pixels.

  Args:
    observed: Modes o of the likelihoods, [H, W, 2].
    precision: Precisions P, symmetric and non-negative, [H, W, 2, 2]; 0 where a
      pixel has no observation.
    guide: Image whose edges the field may have, [H, W, C].
    start: Initial field, [H, W, 2].
    prior: Prior of the field.
    num_reweightings: Number of updates of weights and slopes.
    num_iterations: Number of conjugate gradient steps of each.
  """
  edges_x, edges_y = (
    jnp.exp(-jnp.linalg.norm(d, axis=-1) / prior.edge_contrast)
    for d in _differences(guide)
  )
  edges = edges_x.at[:, -1].set(0), edges_y.at[-1].set(0)

  def link(edges: Array, difference: Array) -> tuple[Array, Array]:
    """Weights of the differences in one direction, and their slopes."""
    slope = local_slopes(difference, edges, prior)
    squares = jnp.sum((difference - slope) ** 2, axis=-1)
    weight = prior.smoothness * edges / jnp.sqrt(squares + prior.softness**2)
    return weight, slope

  def reweight(_: int, found: FieldPosterior) -> FieldPosterior:
    (along_x, slope_x), (along_y, slope_y) = map(
      link, edges, _differences(found.mean)
    )
    current = FieldPosterior(found.mean, precision, along_x, along_y)
    right = small_matrices.times(precision, observed) + _differences_transposed(
      along_x[..., None] * slope_x, along_y[..., None] * slope_y
    )
    mean = _solve(current, right, found.mean, num_iterations)
    return current._replace(mean=mean)

  first = FieldPosterior(start, precision, *edges)
  return jax.lax.fori_loop(0, num_reweightings, reweight, first)


@functools.partial(jax.jit, static_argnames='num_samples')
def sample_fields(
  key: Array, posterior: FieldPosterior, *, num_samples: int
) -> Array:
  """Samples of a Gaussian field, [num_samples, H, W, 2]."""
  root = small_matrices.lower_root(posterior.precision)

  def sample(key: Array) -> Array:
    noise = jax.random.normal(key, (3, *posterior.mean.shape))
    right = small_matrices.times(root, noise[0]) + _differences_transposed(
      jnp.sqrt(posterior.along_x)[..., None] * noise[1],
      jnp.sqrt(posterior.along_y)[..., None] * noise[2],
    )
    start = jnp.zeros_like(posterior.mean)
    return posterior.mean + _solve(posterior, right, start, _NUM_SAMPLE_STEPS)

  return jax.lax.map(sample, jax.random.split(key, num_samples))


def local_slopes(
  differences: Array, weights: Array, prior: FieldPrior
) -> Array:
  """Robust local means of differences [H, W, C] along one axis, [H, W, C].

  The weights w of the differences, [H, W], are at least 0.
  """
  slopes = jnp.zeros_like(differences)
  for _ in range(_NUM_SLOPE_REWEIGHTINGS):
    squares = jnp.sum((differences - slopes) ** 2, axis=-1)
    weight = (weights / (prior.slope_contrast**2 + squares))[..., None]
    mean = gaussian_average(weight, scale=prior.slope_scale)
    slopes = gaussian_average(weight * differences, scale=prior.slope_scale)
    slopes /= mean + _TINY
  return slopes


def gaussian_average(values: Array, *, scale: float) -> Array:
  """Gaussian averages of values [..., H, W, C]; the window ends at the border.

  Its standard deviation is `scale` pixels.
  """
  down, right = (_gaussian_rows(side, scale) for side in values.shape[-3:-1])
  return jnp.einsum('ih,...hwc,jw->...ijc', down, values, right)


def _gaussian_rows(side: int, scale: float) -> Array:
  """Gaussian weights around each place of a line as rows, [side, side]."""
  place = jnp.arange(side)
  distance = (place[:, None] - place[None]) / scale
  weight = jnp.exp(-(distance**2) / 2)
  return weight / jnp.sum(weight, axis=1, keepdims=True)


def _solve(
  field: FieldPosterior, right: Array, start: Array, num_iterations: int
) -> Array:
  """The mean, by conjugate gradients preconditioned pixel by pixel."""
  along_x, along_y = field.along_x, field.along_y
  links = along_x + along_y + _TINY
  links += jnp.pad(along_x, ((0, 0), (1, 0)))[:, :-1]
  links += jnp.pad(along_y, ((1, 0), (0, 0)))[:-1]
  block = field.precision + links[..., None, None] * jnp.eye(2)[None, None]
  inverse = small_matrices.inverse(block)

  def product(values: Array) -> Array:
    d_x, d_y = _differences(values)
    smooth = _differences_transposed(
      along_x[..., None] * d_x, along_y[..., None] * d_y
    )
    return small_matrices.times(field.precision, values) + smooth

  solution, _ = jax.scipy.sparse.linalg.cg(
    product,
    right,
    x0=start,
    tol=_TOLERANCE,
    maxiter=num_iterations,
    M=lambda values: small_matrices.times(inverse, values),
  )
  return solution


def _differences(values: Array) -> tuple[Array, Array]:
  """Differences to the next pixel along x and y, 0 at the end, [H, W, C]."""
  return (
    jnp.diff(values, axis=1, append=values[:, -1:]),
    jnp.diff(values, axis=0, append=values[-1:]),
  )


def _differences_transposed(along_x: Array, along_y: Array) -> Array:
  """The transpose of `_differences`; ignores the values at the end."""
  along_x, along_y = along_x.at[:, -1].set(0), along_y.at[-1].set(0)
  return -jnp.diff(along_x, axis=1, prepend=0) - jnp.diff(
    along_y, axis=0, prepend=0
  )
