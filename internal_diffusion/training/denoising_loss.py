"""The loss of a learned denoiser.

The target of the regression is the posterior mean over the batch (Xu et al.
2023). Given the clean examples of a batch, the noisy x and the noisy condition
c', example j was the clean one with probability

  w_j ~ exp(-|x - x0_j|^2 / (2 sigma^2) - |c' - c_j|^2 / (2 sigma_aug^2)),

so sum_j w_j x0_j has the same expectation as x0 itself, and less variance. A
condition without noise leaves only the examples that share it: more than one
exactly where the answer is ambiguous.
"""

import dataclasses

import jax
import jax.numpy as jnp

from internal_diffusion import arrays
from internal_diffusion.data import principal_basis
from internal_diffusion.denoisers import closed_form, mixture_base
from internal_diffusion.denoisers.learned import LearnedDenoiser
from internal_diffusion.diffusion import losses
from internal_diffusion.training.corruption import augment, draw_sigma
from internal_diffusion.training.examples import Draw, Examples
from internal_diffusion.training.options import (
  ConditionOptions,
  DenoiserOptions,
  NoiseOptions,
)
from internal_diffusion.training.state import TrainState
from internal_diffusion.types import Condition

Array = jax.Array
# Conditions without noise are equal if their root mean squared difference is
# below this: an eighth of a grey level of an 8-bit image, far above rounding.
_EQUAL_RMS = 1e-3


def log_condition_prior(
  shown: Condition, clean: Condition, shape: tuple[int, int], sigma_aug: float
) -> Array:
  """Log weights of a batch's examples, by their conditions alone.

  Args:
    shown: Conditions that the network receives, [B].
    clean: Conditions of all examples, [N].
    shape: (B, N), the shape of the result.
    sigma_aug: Noise level of the conditions where they have none of their own.
  """
  log_prior = jnp.zeros(shape)
  if clean.level is not None and shown.level is not None:
    same_level = shown.level[:, None] == clean.level[None]
    log_prior = jnp.where(same_level, log_prior, -jnp.inf)
  if shown.vector is None or clean.vector is None:
    return log_prior
  sigma = shown.sigma_aug
  if sigma is None:
    sigma = jnp.full(shape[0], sigma_aug or _EQUAL_RMS)
  by_vector = closed_form.log_kernel(shown.vector, sigma, clean.vector)
  if not sigma_aug:
    mean_square = 2 * _EQUAL_RMS**2 / shown.vector.shape[-1]
    by_vector -= jnp.max(by_vector, axis=-1, keepdims=True)
    is_same = -mean_square * by_vector < _EQUAL_RMS**2
    by_vector = jnp.where(is_same, 0.0, -jnp.inf)
  if shown.given is None:
    return log_prior + by_vector
  # A condition given in part counts as a complete one: that only narrows the
  # choice, and its own example always remains.
  is_given = jnp.any(shown.given, axis=-1, keepdims=True)
  return log_prior + jnp.where(is_given, by_vector, 0.0)


@dataclasses.dataclass(frozen=True)
class DenoisingLoss:
  """Weighted denoising loss of a `LearnedDenoiser`, in principal coordinates.

  Attributes:
    draw: Draw of the examples.
    queries: Masks of given parts of a joint model; empty otherwise.
    noise: Noise levels.
    condition: Augmentation of the condition.
    batch_size: Number of examples in a step.
    num_references: Number of examples that targets are averages over; 0
      regresses on the examples themselves.
  """

  draw: Draw
  queries: tuple[tuple[bool, ...], ...]
  noise: NoiseOptions
  condition: ConditionOptions
  batch_size: int
  num_references: int

  def __call__(
    self,
    key: Array,
    state: TrainState,
    data: object,
    progress: Array,
    index: Array,
  ) -> Array:
    """Losses of the examples `index` [b] of a batch, [b]; see `step.Loss`."""
    del progress
    model: LearnedDenoiser = state.model
    sizes = model.layout.x0_sizes
    num_drawn = max(self.num_references, self.batch_size)
    data_key, sigma_key, sample_key = jax.random.split(key, 3)
    # Every device draws all clean examples, which costs little, and takes its
    # part of the batch. The others are references for the targets.
    x0, clean = self.draw(data_key, data, num_drawn)
    references = principal_basis.to_principal(model.basis, x0)
    keys = jax.vmap(lambda i: jax.random.fold_in(sample_key, i))(index)
    shown = augment(
      arrays.fold_in(keys, 0),
      jax.tree.map(lambda c: c[index], clean),
      self.condition,
      queries=self.queries,
    )
    uniform = losses.stratified_uniform(sigma_key, index, self.batch_size)
    sigma = draw_sigma(uniform, self.noise)

    def posterior_mean(z: Array, sigma: Array) -> Array:
      shape = (len(z), num_drawn)
      log_prior = log_condition_prior(
        shown, clean, shape, self.condition.sigma_aug
      )
      return closed_form.posterior_mean(
        z, sigma, references, log_prior=log_prior
      )

    stddev = principal_basis.group_stddev(model.basis, shown.level)

    def mixture_weight(z: Array, sigma: Array) -> Array:
      assert model.base is not None
      variance = model.base.posterior(z, sigma, shown.level)[1]
      return mixture_base.loss_weight(variance, sigma, stddev)

    wiener_weight = losses.wiener_weight(sigma, stddev, sizes=sizes)
    loss = losses.denoising_loss(
      arrays.fold_in(keys, 1),
      model.denoise_principal,
      references[index],
      shown,
      sigma,
      wiener_weight if model.base is None else mixture_weight,
      target_fn=posterior_mean if self.num_references else None,
    )
    if shown.given is None or not model.layout.is_joint:
      return loss
    # Given parts have no loss: the mean is over the others.
    num_missing = jnp.sum(jnp.logical_not(shown.given), axis=-1)
    return loss * len(sizes) / jnp.maximum(num_missing, 1)


def denoising_loss(
  examples: Examples, options: DenoiserOptions
) -> DenoisingLoss:
  """The loss of examples under options."""
  return DenoisingLoss(
    draw=examples.draw,
    queries=examples.queries,
    noise=options.noise,
    condition=options.condition,
    batch_size=options.batch_size,
    num_references=options.num_references,
  )
