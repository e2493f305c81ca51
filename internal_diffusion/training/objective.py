"""What a training step minimises, from examples to a loss for each.

The target of the regression is the posterior mean over the batch (Xu et al.
2023). Given the clean examples of a batch, the noisy x and the noisy condition
c', any of them may be the one that was made noisy, with probability

  w_j ~ exp(-|x - x0_j|^2 / (2 sigma^2) - |c' - c_j|^2 / (2 sigma_aug^2)),

so sum_j w_j x0_j is the expectation of x0 under what is not looked at: it has
the same mean as x0 itself, and less variance. A condition without noise leaves
the choice among the examples that share it: more than one just where there is
ambiguity to learn.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import ml_collections

from internal_diffusion import arrays
from internal_diffusion.data import principal_basis
from internal_diffusion.denoisers import closed_form
from internal_diffusion.denoisers.learned import LearnedParams
from internal_diffusion.diffusion import conditioning, losses
from internal_diffusion.training.examples import Examples
from internal_diffusion.training.step import BatchLossFn
from internal_diffusion.types import Condition, ParametricDenoiseFn

Array = jax.Array
# Conditions without noise are the same if they differ by less, root mean
# square: an eighth of a grey level of an 8-bit image, far above rounding.
_SAME_RMS = 1e-3


def make_sigma_fn(
  config: ml_collections.ConfigDict,
) -> Callable[[Array], Array]:
  """Quantile function of the noise level: uniform [B] to sigma [B]."""
  noise = config.noise
  if not 0 < noise.sigma_min < noise.sigma_max:
    raise ValueError(
      '0 < `noise.sigma_min` < `noise.sigma_max` must hold, got'
      f' {noise.sigma_min} and {noise.sigma_max}.'
    )
  match noise.draw:
    case 'lognormal':
      arrays.check_in_range(
        'noise.log_std', noise.log_std, 0, float('inf'), open_low=True
      )
      return lambda uniform: losses.lognormal_sigma(
        uniform, mean=noise.log_mean, std=noise.log_std
      )
    case 'loguniform':
      return lambda uniform: losses.loguniform_sigma(
        uniform, sigma_min=noise.sigma_min, sigma_max=noise.sigma_max
      )
    case other:
      raise ValueError(
        f"`noise.draw` must be 'lognormal' or 'loguniform', got {other!r}."
      )


# `prepare_fn(key [B], cond) -> cond`, as the network is given it in training.
PrepareFn = Callable[[Array, Condition], Condition]


def make_prepare_fn(
  examples: Examples, config: ml_collections.ConfigDict
) -> PrepareFn:
  """What training does to clean and whole conditions: noise, leaving out.

  Raises:
    ValueError: If a field of `condition` is out of range.
  """
  options = config.condition
  infinity = float('inf')
  arrays.check_in_range(
    'condition.sigma_aug', options.sigma_aug, 0, infinity, open_high=True
  )
  arrays.check_in_range('condition.dropout', options.dropout, 0, 1)
  is_drawn = options.sigma_aug_max > 0
  if is_drawn and not 0 < options.sigma_aug <= options.sigma_aug_max:
    raise ValueError(
      '0 < `condition.sigma_aug` <= `condition.sigma_aug_max` must hold where'
      f' the latter is not 0, got {options.sigma_aug} and'
      f' {options.sigma_aug_max}.'
    )
  masks = jnp.array(examples.queries, bool)

  def prepare_fn(key: Array, cond: Condition) -> Condition:
    if cond.vector is None:
      return cond
    noise_key, drop_key = (arrays.fold_in(key, i) for i in range(2))
    if is_drawn:
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
    if examples.queries:
      return conditioning.give_parts(drop_key, cond, masks=masks)
    if options.dropout:
      return conditioning.drop_condition(drop_key, cond, rate=options.dropout)
    return cond

  return prepare_fn


def _log_prior(
  shown: Condition, clean: Condition, shape: tuple[int, int], sigma_aug: float
) -> Array:
  """Log weights [B, N] of a batch's examples by their conditions alone.

  Args:
    shown: What the network is given, [B].
    clean: The conditions of all examples, [N].
    shape: (B, N).
    sigma_aug: Noise level of the conditions where they do not tell theirs.
  """
  log_prior = jnp.zeros(shape)
  if clean.level is not None and shown.level is not None:
    same_level = shown.level[:, None] == clean.level[None]
    log_prior = jnp.where(same_level, log_prior, -jnp.inf)
  if shown.vector is None or clean.vector is None:
    return log_prior
  told = jnp.full(shape[0], sigma_aug or _SAME_RMS)
  level = told if shown.sigma_aug is None else shown.sigma_aug
  by_vector = closed_form.log_kernel(shown.vector, level, clean.vector)
  if not sigma_aug:
    mean_square = 2 * _SAME_RMS**2 / shown.vector.shape[-1]
    by_vector -= jnp.max(by_vector, axis=-1, keepdims=True)
    is_same = -mean_square * by_vector < _SAME_RMS**2
    by_vector = jnp.where(is_same, 0.0, -jnp.inf)
  if shown.given is None:
    return log_prior + by_vector
  # A condition given in part counts as a whole one: that only narrows the
  # choice, and its own example is always among it.
  is_given = jnp.any(shown.given, axis=-1, keepdims=True)
  return log_prior + jnp.where(is_given, by_vector, 0.0)


def make_batch_loss_fn(
  examples: Examples,
  denoise_fn: ParametricDenoiseFn,
  config: ml_collections.ConfigDict,
) -> BatchLossFn:
  """Draws examples and noise on the device and returns their losses.

  Args:
    examples: Where they come from.
    denoise_fn: The denoiser of principal coordinates.
    config: As in configs/default.py.

  Raises:
    ValueError: If a field is out of range.
  """
  sigma_fn = make_sigma_fn(config)
  prepare_fn = make_prepare_fn(examples, config)
  sizes = examples.layout.x0_sizes
  sigma_aug = config.condition.sigma_aug
  num_drawn = max(config.num_references, config.batch_size)

  def batch_loss_fn(
    params: LearnedParams, data: object, key: Array, index: Array
  ) -> Array:
    data_key, sigma_key, sample_key = jax.random.split(key, 3)
    # Every device draws all clean examples, which costs little, and takes its
    # share of the batch. The rest are references for the targets.
    x0, clean = examples.draw_fn(data_key, data, num_drawn)
    references = principal_basis.to_principal(params.basis, x0)
    keys = jax.vmap(lambda i: jax.random.fold_in(sample_key, i))(index)
    shown = prepare_fn(
      arrays.fold_in(keys, 0), jax.tree.map(lambda c: c[index], clean)
    )
    sigma = sigma_fn(
      losses.stratified_uniform(sigma_key, index, config.batch_size)
    )

    def posterior_mean(z: Array, sigma: Array) -> Array:
      shape = (len(z), num_drawn)
      log_prior = _log_prior(shown, clean, shape, sigma_aug)
      return closed_form.posterior_mean(
        z, sigma, references, log_prior=log_prior
      )

    stddev = principal_basis.group_stddev(params.basis, shown.level)
    loss = losses.denoising_loss(
      arrays.fold_in(keys, 1),
      lambda z, sigma, cond: denoise_fn(params, z, sigma, cond),
      references[index],
      shown,
      sigma,
      losses.wiener_weight(sigma, stddev, sizes=sizes),
      target_fn=posterior_mean if config.num_references else None,
    )
    if shown.given is None or not examples.layout.is_joint:
      return loss
    # Given parts have no loss: the mean is over those that are not.
    num_asked = jnp.sum(jnp.logical_not(shown.given), axis=-1)
    return loss * len(sizes) / jnp.maximum(num_asked, 1)

  return batch_loss_fn
