"""The denoiser that needs no training: the posterior mean over a finite set.

Let x0 be one of the vectors x0_i, c_i its condition, and c the condition c_i
plus noise of level sigma_aug. Then (Karras et al. 2022, appendix B.3, for x
alone)

  E[x0 | x, c] = sum_i w_i x0_i / sum_i w_i
  log w_i = -|x - x0_i|^2 / (2 sigma^2) - |c - c_i|^2 / (2 sigma_aug^2)
            + log prior_i,

a softmax over squared distances: kernel regression on the set itself
(Nadaraya 1964, Watson 1964). At sigma = inf the weights depend on c alone, at
sigma = 0 on x alone.

The sum runs over tiles of queries and of references, so memory holds one tile
of weights at a time. Log weights are relative to the largest one so far. The
default tiles fit into a CPU's cache; an accelerator is faster with larger ones.

Distances are computed from inner products. With y = x0_i, both centred,
-|x - y|^2 / 2 = x y - |y|^2 / 2 up to a term that is equal for all references.
In float32 the rounding error of this score, about 6e-8 |x| |y|, is divided by
sigma^2, which spoils the weights at small sigma. Therefore x = x_h + x_l, where
x_h is a multiple of a step, the largest |y| over about 2^11 (after Ozaki et al.
2012). The high part of the score, x_h y_h - |y_h|^2 / 2, has less than 24 bits
and is exact, and so is its difference between two references. The low part,

  x_l y_h + x y_l - (y_h y_l + |y_l|^2 / 2),

is smaller by a factor of the step, and so is its rounding error. The scores of
the best reference are subtracted from both parts before these are added.
"""

from typing import NamedTuple, Self

import flax.struct
import jax
import jax.numpy as jnp

from internal_diffusion import arrays
from internal_diffusion.denoisers import reference_set
from internal_diffusion.denoisers.reference_set import (
  Grid,
  Points,
  Query,
  ReferenceSet,
  Split,
  Tiles,
)
from internal_diffusion.types import Condition, static

Array = jax.Array

_PRECISION = jax.lax.Precision.HIGHEST


def posterior_mean(
  x: Array,
  sigma: Array,
  references: Array,
  *,
  log_prior: Array | None = None,
) -> Array:
  """Posterior means [B, D] over a small set, in one matrix of weights.

  Fast but not exact: its weights have the rounding error of float32 scores, see
  the module's docstring. For the arguments, see `log_kernel`; `log_prior` is
  the log prior weight of each reference for each sample, [B, N], where -inf
  excludes a reference.
  """
  log_weight = log_kernel(x, sigma, references)
  if log_prior is not None:
    log_weight = log_weight + log_prior
  weight = jax.nn.softmax(log_weight, axis=-1)
  return jnp.matmul(weight, references, precision=_PRECISION)


def log_kernel(x: Array, sigma: Array, references: Array) -> Array:
  """Log likelihoods [B, N], -|x - x0_j|^2 / (2 sigma^2) up to a constant.

  Args:
    x: Noisy vectors, [B, D].
    sigma: Noise levels, [B], above 0.
    references: Clean vectors, [N, D].
  """
  products = jnp.matmul(x, references.T, precision=_PRECISION)
  distance = jnp.sum(references**2, axis=-1)[None] - 2 * products
  return -distance / (2 * sigma[:, None] ** 2)


class _LogWeight(NamedTuple):
  """Log weights in parts, which are added only after a subtraction."""

  scores: tuple[Split, ...]
  log_prior: Array


class _Sums(NamedTuple):
  """Sums over the references so far; weights are relative to that of `best`."""

  best: _LogWeight
  total: Array
  weighted: Array


def streaming_posterior_mean(
  x: Array,
  sigma: Array,
  references: ReferenceSet,
  cond: Condition | None = None,
  *,
  query_chunk: int = 256,
) -> Array:
  """Exact posterior mean over a set of any size, in bounded memory.

  Memory holds a few tiles [query_chunk, data_chunk] at a time, also for the
  derivatives with respect to x, sigma and cond. Derivatives with respect to the
  set are not defined.

  Args:
    x: Noisy vectors, [B, D].
    sigma: Noise level, scalar or [B]. At 0 the result is the mean of the
      nearest references; at inf it does not depend on x.
    references: The set, from `prepare_references`.
    cond: Condition with `vector` [B, K] if the set has conditions and `level`
      [B] if it has levels; other fields are ignored.
    query_chunk: Number of queries in a tile.

  Returns:
    Posterior means, [B, D]; NaN for a query whose level no reference has.

  Raises:
    ValueError: If shapes do not fit or a condition is missing.
  """
  arrays.check_positive_int('query_chunk', query_chunk)
  queries = reference_set.prepare_queries(x, sigma, references, cond)

  @jax.checkpoint
  def mean(query: Query) -> Array:
    return _posterior_mean_of_one(query, references)

  # A batch of queries turns the products with a vector into matrix products.
  return jax.lax.map(mean, queries, batch_size=query_chunk)


@flax.struct.dataclass
class ClosedFormDenoiser:
  """The exact denoiser of a finite set.

  Attributes:
    references: The set.
    query_chunk: Number of samples that are denoised at a time.
  """

  references: ReferenceSet
  query_chunk: int = static(default=256)

  @classmethod
  def create(
    cls,
    references: Array,
    *,
    conditions: Array | None = None,
    sigma_aug: float | None = None,
    levels: Array | None = None,
    log_prior: Array | None = None,
    query_chunk: int = 256,
    data_chunk: int = 1024,
  ) -> Self:
    """Prepares a finite set.

    Args:
      references: Clean vectors, [N, D].
      conditions: Condition of each reference, [N, K], which is compared with
        `cond.vector`.
      sigma_aug: Noise level of the conditions, the bandwidth of their kernel,
        above 0; inf ignores them.
      levels: Pyramid level of each reference, [N] int32, which must equal
        `cond.level`.
      log_prior: Log prior weight of each reference, [N]; None is uniform.
      query_chunk: Number of samples that are denoised at a time.
      data_chunk: Number of references that are summed at a time.

    Raises:
      ValueError: If the set is empty, shapes do not fit, `sigma_aug` is not
        above 0, or only one of `conditions` and `sigma_aug` is given.

    Example:
      >>> model = ClosedFormDenoiser.create(jnp.array([[-1.0], [1.0]]))
      >>> model(jnp.array([[0.0], [0.9]]), 0.1).round(3).tolist()
      [[0.0], [1.0]]
    """
    arrays.check_positive_int('query_chunk', query_chunk)
    prepared = reference_set.prepare_references(
      references,
      conditions=conditions,
      sigma_aug=sigma_aug,
      levels=levels,
      log_prior=log_prior,
      data_chunk=data_chunk,
    )
    return cls(prepared, query_chunk)

  def __call__(
    self, x: Array, sigma: Array, cond: Condition | None = None
  ) -> Array:
    """The posterior mean given x [B, D]; see `Denoiser`."""
    return streaming_posterior_mean(
      x, sigma, self.references, cond, query_chunk=self.query_chunk
    )


def _score(points: Points, query: Array, step: Array) -> Split:
  """Scores x y - |y|^2 / 2 of a query [D] and references [M, D], [M]."""
  x, y = reference_set.split(query, step), points.values
  low = _dot(y.high, x.low) + _dot(y.low, query)
  return Split(
    high=_dot(y.high, x.high) - points.half_norm.high,
    low=low - points.half_norm.low,
  )


def _dot(a: Array, b: Array) -> Array:
  return jnp.dot(a, b, precision=_PRECISION)


def _difference(
  a: _LogWeight, b: _LogWeight, precisions: tuple[Array, ...]
) -> Array:
  """Log weights `a` minus log weights `b`, subtracted part by part."""
  difference = a.log_prior - b.log_prior
  for p, q, precision in zip(a.scores, b.scores, precisions, strict=True):
    parts = (p.high - q.high) + (p.low - q.low)
    difference = difference + precision * parts
  return difference


def _log_weight(
  tile: Tiles, query: Query, grids: tuple[Grid, ...]
) -> _LogWeight:
  """Log weights [M] of a tile's references for one query, in parts."""
  scores = tuple(
    _score(points, values, grid.step)
    for points, values, grid in zip(
      tile.spaces, query.spaces, grids, strict=True
    )
  )
  prior = tile.log_prior
  if tile.level is not None:
    prior = jnp.where(tile.level == query.level, prior, -jnp.inf)
  return _LogWeight(scores, prior)


def _sums(query: Query, references: ReferenceSet) -> _Sums:
  """The sums over all references for one query."""
  grids, zero = references.grids, jnp.float32(0)

  def add_tile(sums: _Sums, tile: Tiles) -> tuple[_Sums, None]:
    log_weight = _log_weight(tile, query, grids)
    ahead = _difference(log_weight, sums.best, query.precisions)
    index = arrays.index_of_largest(ahead)
    is_first = (sums.total == 0) & (ahead[index] > -jnp.inf)
    is_better = is_first | (ahead[index] > 0)
    best = jax.tree.map(
      lambda new, old: jnp.where(is_better, new[index], old),
      log_weight,
      sums.best,
    )
    behind = _difference(sums.best, best, query.precisions)
    kept = jnp.exp(jnp.minimum(behind, 0))
    weight = jnp.exp(_difference(log_weight, best, query.precisions))
    total = kept * sums.total + jnp.sum(weight)
    weighted = kept * sums.weighted + _dot(weight, _values(tile))
    return _Sums(best, total, weighted), None

  start = _Sums(
    best=_LogWeight(tuple(Split(zero, zero) for _ in grids), zero),
    total=zero,
    weighted=jnp.zeros_like(grids[0].centre),
  )
  return jax.lax.scan(add_tile, start, references.tiles)[0]


@jax.custom_jvp
def _posterior_mean_of_one(query: Query, references: ReferenceSet) -> Array:
  """Posterior mean [D] for one query."""
  sums = _sums(query, references)
  return references.grids[0].centre + sums.weighted / sums.total


@_posterior_mean_of_one.defjvp
def _posterior_mean_jvp(
  primals: tuple[Query, ReferenceSet], tangents: tuple[Query, ReferenceSet]
) -> tuple[Array, Array]:
  """The derivative Cov(x0 | x) / sigma^2, from centred factors.

  The derivative of the quotient of sums would be a small difference of large
  terms.
  """
  query, references = primals
  sums = _sums(query, references)
  mean = sums.weighted / sums.total
  # The conditions' mean is near the condition of the query, which serves as
  # their origin.
  origins = (mean, *query.spaces[1:])

  def centred_mean(
    spaces: tuple[Array, ...], precisions: tuple[Array, ...]
  ) -> Array:
    """sum_i w_i (x0_i - mean), 0 here; its derivative is the mean's."""
    moved = query._replace(spaces=spaces, precisions=precisions)
    # A constant in all log weights cancels. Subtracting this one changes their
    # derivative from y / sigma^2, which is large, to (y - origin) / sigma^2.
    shared = jnp.float32(0)
    for new, old, origin, precision in zip(
      spaces, query.spaces, origins, precisions, strict=True
    ):
      shared = shared + precision * _dot(new - old, origin)

    @jax.checkpoint
    def add_tile(found: Array, tile: Tiles) -> tuple[Array, None]:
      log_weight = _log_weight(tile, moved, references.grids)
      ahead = _difference(log_weight, sums.best, precisions) - shared
      weight = jnp.exp(ahead) / sums.total
      part = _dot(weight, _values(tile)) - jnp.sum(weight) * mean
      return found + part, None

    return jax.lax.scan(add_tile, jnp.zeros_like(mean), references.tiles)[0]

  _, tangent = jax.jvp(
    centred_mean,
    (query.spaces, query.precisions),
    (tangents[0].spaces, tangents[0].precisions),
  )
  return references.grids[0].centre + mean, tangent


def _values(tile: Tiles) -> Array:
  """The centred clean vectors [M, D]."""
  return tile.spaces[0].values.high + tile.spaces[0].values.low
