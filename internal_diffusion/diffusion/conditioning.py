"""Condition noise and condition dropout in training.

Conditioning augmentation (Ho et al. 2022) adds noise to the condition, c' = c +
sigma_aug eps, which makes a network robust to generated conditions. A network
trained to convergence on a finite set is kernel regression of bandwidth
sigma_aug (`denoisers.closed_form`).

Condition dropout (Ho & Salimans 2022) omits the condition of a random fraction
of the samples. It trains one network on both E[x0 | x, c] and E[x0 | x], which
`guidance` combines.

A `key` may be a batch of keys, one for each sample.
"""

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion import arrays
from internal_diffusion.diffusion import losses
from internal_diffusion.types import Condition

Array = jax.Array


def draw_sigma_aug(
  key: Array, num: int, *, sigma_min: float, sigma_max: float
) -> Array:
  """Noise levels [num] with ln sigma_aug ~ U(ln sigma_min, ln sigma_max).

  Raises:
    ValueError: Unless 0 < `sigma_min` <= `sigma_max` < inf.
  """
  if not 0 < sigma_min <= sigma_max < float('inf'):
    raise ValueError(
      '0 < `sigma_min` <= `sigma_max` < inf must hold, got'
      f' {sigma_min} and {sigma_max}.'
    )
  return losses.loguniform_sigma(
    arrays.uniform(key, (num,)), sigma_min=sigma_min, sigma_max=sigma_max
  )


def augment_condition(
  key: Array, cond: Condition, *, sigma_aug: float | Array
) -> Condition:
  """Adds noise of level `sigma_aug`, scalar or [B], to the condition's vector.

  Raises:
    ValueError: If the condition has no vector, or `sigma_aug` has another shape
      or is negative; the sign of a traced value is not checked.
  """
  vector = _vector(cond)
  if np.shape(sigma_aug) not in ((), vector.shape[:1]):
    raise ValueError(
      f'`sigma_aug` must be [] or [{vector.shape[0]}], got shape'
      f' {np.shape(sigma_aug)}.'
    )
  is_known = not isinstance(sigma_aug, jax.core.Tracer)
  if is_known and not np.all(np.asarray(sigma_aug) >= 0):
    raise ValueError(f'`sigma_aug` must be at least 0, got {sigma_aug}.')
  sigma = arrays.match_rank(jnp.asarray(sigma_aug, vector.dtype), vector)
  return cond._replace(vector=vector + sigma * arrays.normal(key, vector.shape))


def drop_condition(key: Array, cond: Condition, *, rate: float) -> Condition:
  """Drops the condition's vector at random (Ho & Salimans 2022, alg. 1).

  The mask `given` [B, 1] is False for dropped vectors, with the probability
  `rate`; parts that were not given stay so. The mask distinguishes a dropped
  vector from a zero vector. The pyramid level is kept: it describes the
  generated patch.

  Raises:
    ValueError: If the condition has no vector or `rate` is not in [0, 1].
  """
  vector = _vector(cond)
  arrays.check_in_range('rate', rate, 0, 1)
  given = (arrays.uniform(key, vector.shape[:1]) >= rate)[:, None]
  if cond.given is not None:
    given &= cond.given
  return cond._replace(given=given)


def give_parts(key: Array, cond: Condition, *, masks: Array) -> Condition:
  """Gives a random subset of the condition's parts, `given` [B, G].

  With it, one network learns several conditional distributions. The subsets
  `masks` [M, G] are drawn with equal probability.

  Raises:
    ValueError: If the condition has no vector.
  """
  uniform = arrays.uniform(key, _vector(cond).shape[:1])
  chosen = arrays.index_from_uniform(uniform, len(masks))
  return cond._replace(given=masks[chosen])


def without_vector(cond: Condition) -> Condition:
  """Drops the condition's vector for every sample."""
  num = _vector(cond).shape[0]
  return cond._replace(given=jnp.zeros((num, 1), bool))


def drawn_sigma_aug(
  key: Array, cond: Condition, *, sigma_min: float, sigma_max: float
) -> Condition:
  """Adds noise of a random level, `sigma_aug` [B], to the condition's vector.

  The level is that of `draw_sigma_aug`.

  Raises:
    ValueError: If the condition has no vector or a bound is out of range.
  """
  num = _vector(cond).shape[0]
  sigma_aug = draw_sigma_aug(
    arrays.fold_in(key, 0), num, sigma_min=sigma_min, sigma_max=sigma_max
  )
  noisy = augment_condition(arrays.fold_in(key, 1), cond, sigma_aug=sigma_aug)
  return noisy._replace(sigma_aug=sigma_aug)


def _vector(cond: Condition) -> Array:
  if cond.vector is None:
    raise ValueError('`cond.vector` must be an array [B, K], got None.')
  return cond.vector
