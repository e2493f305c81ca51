"""What happens to a condition in training: noise on it, or leaving it out.

Noise on the condition (conditioning augmentation, Ho et al. 2022)

  c' = c + sigma_aug eps

makes a network robust to conditions that are themselves generated. Trained to
convergence on a finite set, it is kernel regression of bandwidth sigma_aug
(`denoisers.closed_form`).

Leaving it out for a share of the samples (Ho & Salimans 2022) trains one
network on both E[x0 | x, c] and E[x0 | x], which `guidance` combines.

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

  Args:
    key: One key, or a batch of `num` keys.
    num: How many.
    sigma_min: Lowest level, above 0.
    sigma_max: Highest level, at least `sigma_min`.
  """
  infinity = float('inf')
  arrays.check_in_range('sigma_min', sigma_min, 0, infinity, open_low=True)
  arrays.check_in_range(
    'sigma_max', sigma_max, sigma_min, infinity, open_high=True
  )
  return losses.loguniform_sigma(
    arrays.uniform(key, (num,)), sigma_min=sigma_min, sigma_max=sigma_max
  )


def augment_condition(
  key: Array, cond: Condition, *, sigma_aug: float | Array
) -> Condition:
  """Adds Gaussian noise to the condition's vector.

  Args:
    key: One key, or a key [B] for each sample.
    cond: With a `vector` [B, K].
    sigma_aug: Noise level, a scalar or [B], 0 or above.

  Returns:
    The condition with the noisy vector.

  Raises:
    ValueError: If there is no vector, or `sigma_aug` is negative or of another
      shape; the sign of a traced value is not looked at.
  """
  vector = _vector(cond)
  if np.shape(sigma_aug) not in ((), vector.shape[:1]):
    raise ValueError(
      f'`sigma_aug` must be [] or [{vector.shape[0]}], got shape'
      f' {np.shape(sigma_aug)}.'
    )
  is_known = not isinstance(sigma_aug, jax.core.Tracer)
  if is_known and not np.all(np.asarray(sigma_aug) >= 0):
    raise ValueError(f'`sigma_aug` must be 0 or above, got {sigma_aug}.')
  level = arrays.match_rank(jnp.asarray(sigma_aug, vector.dtype), vector)
  return cond._replace(vector=vector + level * arrays.normal(key, vector.shape))


def drop_condition(key: Array, cond: Condition, *, rate: float) -> Condition:
  """Leaves out the condition's vector at random (Ho & Salimans 2022, alg. 1).

  The pyramid level stays: it says what is generated, not what is given.

  Args:
    key: One key, or a key [B] for each sample.
    cond: With a `vector` [B, K]; what it does not give already stays so.
    rate: Chance of each sample to lose its vector, in [0, 1].

  Returns:
    The condition with `given` [B, 1]. A vector may be 0 by itself: the mask is
    what tells the two apart.

  Raises:
    ValueError: If there is no vector or `rate` is out of range.
  """
  vector = _vector(cond)
  arrays.check_in_range('rate', rate, 0, 1)
  given = (arrays.uniform(key, vector.shape[:1]) >= rate)[:, None]
  if cond.given is not None:
    given &= cond.given
  return cond._replace(given=given)


def give_parts(key: Array, cond: Condition, *, masks: Array) -> Condition:
  """Gives a random one of several sets of the condition's parts.

  One network so learns several conditional distributions of the same parts.

  Args:
    key: One key, or a key [B] for each sample.
    cond: With a `vector` [B, K].
    masks: The sets to choose from, each as likely, [M, G] booleans.

  Returns:
    The condition with `given` [B, G].

  Raises:
    ValueError: If there is no vector.
  """
  uniform = arrays.uniform(key, _vector(cond).shape[:1])
  chosen = arrays.index_from_uniform(uniform, len(masks))
  return cond._replace(given=masks[chosen])


def without_vector(cond: Condition) -> Condition:
  """The condition with nothing of its vector given."""
  num = _vector(cond).shape[0]
  return cond._replace(given=jnp.zeros((num, 1), bool))


def drawn_sigma_aug(
  key: Array, cond: Condition, *, sigma_min: float, sigma_max: float
) -> Condition:
  """Draws a noise level, adds noise of it to the vector, and tells it.

  Args:
    key: One key, or a key [B] for each sample.
    cond: With a `vector` [B, K].
    sigma_min: Lowest level, above 0.
    sigma_max: Highest level.
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
