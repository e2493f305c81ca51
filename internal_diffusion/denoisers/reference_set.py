"""A finite set of vectors, prepared for exact sums over it in float32.

Vectors are centred and split, y = y_h + y_l, where y_h is a multiple of a step,
the largest |y| over about 2^11 (after Ozaki et al. 2012), so that inner
products of high parts are exact; `closed_form` explains why this is needed. The
references are stored in tiles of equal size. The last tile is padded with
references of prior weight 0.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion import arrays
from internal_diffusion.types import Condition

Array = jax.Array

# Ratio of the largest norm to the step. Half inner products stay below
# 2^24 steps^2 for queries of up to twice the largest norm. For longer queries
# sigma is large, and rounding does no harm.
_STEPS = 2.0**11


class Split(NamedTuple):
  """A number as the sum of a multiple of a step and a small remainder."""

  high: Array
  low: Array


class Grid(NamedTuple):
  """The grid on which the high parts of centred vectors lie.

  Attributes:
    centre: Origin, the mean of the references, [D].
    step: Spacing of the grid, a power of 2.
  """

  centre: Array
  step: Array


class Points(NamedTuple):
  """References, centred and split.

  Attributes:
    values: Centred vectors, [..., M, D].
    half_norm: Halves of their squared norms, [..., M].
  """

  values: Split
  half_norm: Split


class Tiles(NamedTuple):
  """The references in T tiles of M; the last one is padded.

  Attributes:
    spaces: The clean vectors, [T, M, D], and the conditions, [T, M, K], if the
      set has any.
    log_prior: Log prior weights, [T, M]; -inf for padding.
    level: Pyramid levels, [T, M], or None.
  """

  spaces: tuple[Points, ...]
  log_prior: Array
  level: Array | None


class ReferenceSet(NamedTuple):
  """A finite set, prepared for `streaming_posterior_mean`; a pytree.

  Attributes:
    grids: The grid of the clean vectors, and that of the conditions if the set
      has any.
    tiles: The references.
    sigma_aug: Noise level of the conditions, or None.
  """

  grids: tuple[Grid, ...]
  tiles: Tiles
  sigma_aug: Array | None


class Query(NamedTuple):
  """A query: centred vectors [D] and [K], 1 / sigma^2 of each, a level []."""

  spaces: tuple[Array, ...]
  precisions: tuple[Array, ...]
  level: Array | None


def prepare_references(
  references: Array,
  *,
  conditions: Array | None = None,
  sigma_aug: float | None = None,
  levels: Array | None = None,
  log_prior: Array | None = None,
  data_chunk: int = 1024,
) -> ReferenceSet:
  """Centres, splits and tiles a set; see `ClosedFormDenoiser.create`."""
  references = jnp.asarray(references, jnp.float32)
  arrays.check_positive_int('data_chunk', data_chunk)
  _check_references(references, conditions, sigma_aug, levels, log_prior)
  num = references.shape[0]
  # Tiles of even size, so that little is padding.
  chunk = -(-num // -(-num // data_chunk))

  def tile(values: Array, padding: float = 0) -> Array:
    widths = [(0, -num % chunk)] + [(0, 0)] * (values.ndim - 1)
    padded = jnp.pad(values, widths, constant_values=padding)
    return padded.reshape(-1, chunk, *values.shape[1:])

  spaces = [references]
  if conditions is not None:
    spaces.append(jnp.asarray(conditions, jnp.float32))
  grids = tuple(_grid(values) for values in spaces)
  points = tuple(map(_points, grids, spaces))
  prior = jnp.zeros(num) if log_prior is None else jnp.asarray(log_prior)
  tiles = Tiles(
    spaces=jax.tree.map(tile, points),
    log_prior=tile(prior.astype(jnp.float32), -jnp.inf),
    level=None if levels is None else tile(jnp.asarray(levels)),
  )
  level = None if sigma_aug is None else jnp.float32(sigma_aug)
  return ReferenceSet(grids, tiles, level)


def _grid(values: Array) -> Grid:
  centre = jnp.mean(values, axis=0)
  norms = jnp.linalg.norm(values - centre[None], axis=-1)
  # Above 0 also where all references are equal; any step is right then.
  largest = jnp.maximum(jnp.max(norms), 1e-6)
  exponent = jnp.ceil(jnp.log2(largest / _STEPS)).astype(jnp.int32)
  return Grid(centre, jnp.ldexp(jnp.float32(1), exponent))


def split(values: Array, step: Array) -> Split:
  """Values as multiples of the step and remainders of at most half of it."""
  high = jnp.round(values / step) * step
  return Split(high, values - high)


def _points(grid: Grid, values: Array) -> Points:
  parts = split(values - grid.centre[None], grid.step)
  half_norm = Split(
    high=jnp.sum(parts.high**2, axis=-1) / 2,
    low=jnp.sum(parts.low * (parts.high + parts.low / 2), axis=-1),
  )
  return Points(parts, half_norm)


def check_shape(
  name: str, value: Array, expected: tuple[int | None, ...]
) -> None:
  """Raises ValueError unless the shape is as expected; None is any size."""
  shape = np.shape(value)
  fits = len(shape) == len(expected) and all(
    wanted in (None, size) for size, wanted in zip(shape, expected, strict=True)
  )
  if not fits:
    wanted = ', '.join('any' if e is None else str(e) for e in expected)
    raise ValueError(f'`{name}` must have shape [{wanted}], got {shape}.')


def _check_references(
  references: Array,
  conditions: Array | None,
  sigma_aug: float | None,
  levels: Array | None,
  log_prior: Array | None,
) -> None:
  check_shape('references', references, (None, None))
  if not references.size:
    raise ValueError(f'`references` must not be empty: {references.shape}.')
  num = references.shape[0]
  if conditions is not None:
    check_shape('conditions', conditions, (num, None))
  if (conditions is None) != (sigma_aug is None):
    missing, given = 'sigma_aug', 'conditions'
    if conditions is None:
      missing, given = given, missing
    raise ValueError(f'`{missing}` must be given with `{given}`, got None.')
  if sigma_aug is not None:
    arrays.check_in_range(
      'sigma_aug', sigma_aug, 0, float('inf'), open_low=True
    )
  for name, value in (('levels', levels), ('log_prior', log_prior)):
    if value is not None:
      check_shape(name, value, (num,))


def prepare_queries(
  x: Array, sigma: Array, references: ReferenceSet, cond: Condition | None
) -> Query:
  """Checks and centres a batch of queries; every field has an axis [B]."""
  grids, tiles = references.grids, references.tiles
  check_shape('x', x, (None, grids[0].centre.shape[0]))
  num = x.shape[0]
  sigma = jnp.asarray(sigma, jnp.float32)
  if sigma.shape not in ((), (num,)):
    raise ValueError(f'`sigma` must be [] or [{num}], got {sigma.shape}.')
  sigma = jnp.broadcast_to(sigma, (num,))
  centred = x - grids[0].centre[None]
  spaces = [jnp.where(jnp.isinf(sigma)[:, None], 0, centred)]
  # The floor replaces 0: far below any distance, and its square is not 0.
  precisions = [1 / jnp.maximum(sigma, 1e-10) ** 2]
  if references.sigma_aug is not None:
    vector = _given('vector', cond)
    check_shape('cond.vector', vector, (num, grids[1].centre.shape[0]))
    spaces.append(vector - grids[1].centre[None])
    precisions.append(_condition_precision(references.sigma_aug, cond, num))
  level = None
  if tiles.level is not None:
    level = _given('level', cond)
    check_shape('cond.level', level, (num,))
  return Query(tuple(spaces), tuple(precisions), level)


def _condition_precision(
  sigma_aug: Array, cond: Condition | None, num: int
) -> Array:
  """1 / sigma_aug^2 of each query's condition, [B]; 0 where it is not given."""
  own = None if cond is None else cond.sigma_aug
  sigma = sigma_aug if own is None else own
  precision = jnp.broadcast_to(1 / sigma**2, (num,))
  given = None if cond is None else cond.given
  if given is None:
    return precision
  check_shape('cond.given', given, (num, 1))
  return jnp.where(given[:, 0], precision, 0)


def _given(field: str, cond: Condition | None) -> Array:
  value = None if cond is None else getattr(cond, field)
  if value is None:
    raise ValueError(f'`cond.{field}` must be given for these references.')
  return value
