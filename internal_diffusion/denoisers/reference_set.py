"""A finite set of vectors, made ready for exact sums over it in float32.

Vectors are centred and split, y = y_h + y_l, where y_h is a multiple of a step,
the largest |y| over some 2^11 (after Ozaki et al. 2012), so that inner products
of high parts are exact; `closed_form` says what for. The references lie in
tiles of even size, the last one padded with references of prior weight 0.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion import arrays
from internal_diffusion.types import Condition

Array = jax.Array

# Largest norm over step: half inner products then stay below 2^24 steps^2 for
# queries of up to twice that norm. Beyond, sigma is large and rounding
# harmless.
_STEPS = 2.0**11


class Split(NamedTuple):
  """A number as the sum of a multiple of some step and a small rest."""

  high: Array
  low: Array


class Frame(NamedTuple):
  """Origin and unit of a space of vectors.

  Attributes:
    centre: Mean of the references [D].
    step: Unit of the high parts, a power of 2.
  """

  centre: Array
  step: Array


class Points(NamedTuple):
  """References in a frame.

  Attributes:
    values: Centred vectors [..., M, D].
    half_norm: Half their squared norms [..., M].
  """

  values: Split
  half_norm: Split


class Tiles(NamedTuple):
  """The references in T tiles of M; the last one is padded.

  Attributes:
    spaces: The clean vectors [T, M, D] and, if any, the conditions [T, M, K].
    log_prior: [T, M]; -inf for padding.
    level: Pyramid levels [T, M], or None.
  """

  spaces: tuple[Points, ...]
  log_prior: Array
  level: Array | None


class ReferenceSet(NamedTuple):
  """A finite set, ready for `streaming_posterior_mean`.

  It is a pytree: pass it to compiled functions as an argument, as one would
  parameters.

  Attributes:
    frames: Those of the clean vectors and, if any, of the conditions.
    tiles: The references.
    sigma_aug: Noise level of the conditions, or None.
  """

  frames: tuple[Frame, ...]
  tiles: Tiles
  sigma_aug: Array | None


class Query(NamedTuple):
  """What is asked: centred vectors [D], 1/variances [], a level []."""

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
  """Centres, splits and tiles a finite set.

  Args:
    references: Clean vectors [N, D].
    conditions: The condition of each, [N, K].
    sigma_aug: Noise level of the conditions, above 0; inf ignores them.
    levels: Pyramid level of each, [N] int32. A query then sees those of its own
      level only.
    log_prior: Logarithm of each one's prior weight, [N]; None is the same for
      all.
    data_chunk: References in a tile.

  Raises:
    ValueError: If the set is empty, shapes do not fit, or `sigma_aug` is not
      above 0 or not given where `conditions` are, or the other way round.
  """
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
  frames = tuple(_frame(values) for values in spaces)
  points = tuple(map(_points, frames, spaces))
  prior = jnp.zeros(num) if log_prior is None else jnp.asarray(log_prior)
  tiles = Tiles(
    spaces=jax.tree.map(tile, points),
    log_prior=tile(prior.astype(jnp.float32), -jnp.inf),
    level=None if levels is None else tile(jnp.asarray(levels)),
  )
  level = None if sigma_aug is None else jnp.float32(sigma_aug)
  return ReferenceSet(frames, tiles, level)


def _frame(values: Array) -> Frame:
  centre = jnp.mean(values, axis=0)
  norms = jnp.linalg.norm(values - centre[None], axis=-1)
  # All references alike: any step will do.
  largest = jnp.maximum(jnp.max(norms), 1e-6)
  exponent = jnp.ceil(jnp.log2(largest / _STEPS)).astype(jnp.int32)
  return Frame(centre, jnp.ldexp(jnp.float32(1), exponent))


def split(values: Array, step: Array) -> Split:
  """Values as a multiple of the step and a rest of at most half of it."""
  high = jnp.round(values / step) * step
  return Split(high, values - high)


def _points(frame: Frame, values: Array) -> Points:
  parts = split(values - frame.centre[None], frame.step)
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
  frames, tiles = references.frames, references.tiles
  check_shape('x', x, (None, frames[0].centre.shape[0]))
  num = x.shape[0]
  sigma = jnp.asarray(sigma, jnp.float32)
  if sigma.shape not in ((), (num,)):
    raise ValueError(f'`sigma` must be [] or [{num}], got {sigma.shape}.')
  sigma = jnp.broadcast_to(sigma, (num,))
  centred = x - frames[0].centre[None]
  spaces = [jnp.where(jnp.isinf(sigma)[:, None], 0, centred)]
  # The floor stands for 0: far below any distance, and its square not yet 0.
  precisions = [1 / jnp.maximum(sigma, 1e-10) ** 2]
  if references.sigma_aug is not None:
    vector = _given('vector', cond)
    check_shape('cond.vector', vector, (num, frames[1].centre.shape[0]))
    spaces.append(vector - frames[1].centre[None])
    precisions.append(_condition_precision(references.sigma_aug, cond, num))
  level = None
  if tiles.level is not None:
    level = _given('level', cond)
    check_shape('cond.level', level, (num,))
  return Query(tuple(spaces), tuple(precisions), level)


def _condition_precision(
  sigma_aug: Array, cond: Condition | None, num: int
) -> Array:
  """1 / sigma_aug^2 [B], of the level told if one is; 0 for what is left out.

  Raises:
    ValueError: If a condition is given in part.
  """
  told = None if cond is None else cond.sigma_aug
  level = sigma_aug if told is None else told
  precision = jnp.broadcast_to(1 / level**2, (num,))
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
