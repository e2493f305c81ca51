"""Noise of training: the levels of the examples, the conditions' own."""

import jax
import jax.numpy as jnp

from internal_diffusion import arrays
from internal_diffusion.diffusion import conditioning, losses
from internal_diffusion.training.options import (
  ConditionOptions,
  NoiseDraw,
  NoiseOptions,
)
from internal_diffusion.types import Condition

Array = jax.Array


def draw_sigma(uniform: Array, options: NoiseOptions) -> Array:
  """Noise levels [B] as quantiles of uniform numbers [B]."""
  match options.draw:
    case NoiseDraw.LOGNORMAL:
      return losses.lognormal_sigma(
        uniform, mean=options.log_mean, std=options.log_std
      )
    case NoiseDraw.LOGUNIFORM:
      return losses.loguniform_sigma(
        uniform, sigma_min=options.sigma_min, sigma_max=options.sigma_max
      )
    case NoiseDraw.LADDER:
      return losses.ladder_sigma(
        uniform,
        sigma_min=options.sigma_min,
        sigma_max=options.sigma_max,
        num_levels=options.num_levels,
      )


def augment(
  key: Array,
  cond: Condition,
  options: ConditionOptions,
  *,
  queries: tuple[tuple[bool, ...], ...] = (),
) -> Condition:
  """Conditions as the network receives them in training: noisy, incomplete.

  The clean and complete conditions have a key each, [B], or one for all. One of
  the masks `queries` of given parts is drawn for each, if there are any.
  """
  if cond.vector is None:
    return cond
  noise_key, drop_key = (arrays.fold_in(key, i) for i in range(2))
  if options.sigma_aug_max > 0:
    cond = conditioning.drawn_sigma_aug(
      noise_key,
      cond,
      sigma_min=options.sigma_aug,
      sigma_max=options.sigma_aug_max,
    )
  elif options.sigma_aug:
    cond = conditioning.augment_condition(
      noise_key, cond, sigma_aug=options.sigma_aug
    )
  if queries:
    masks = jnp.array(queries, bool)
    return conditioning.give_parts(drop_key, cond, masks=masks)
  if options.dropout:
    return conditioning.drop_condition(drop_key, cond, rate=options.dropout)
  return cond
