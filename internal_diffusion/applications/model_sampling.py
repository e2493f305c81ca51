"""Compiled sampling from a learned model of any of the distributions."""

import functools

import jax

from internal_diffusion.denoisers import learned
from internal_diffusion.diffusion import conditioning, guidance, schedules
from internal_diffusion.sampling.api import SampleFn, make_sample_fn
from internal_diffusion.sampling.samplers import Sampler, sample_heun
from internal_diffusion.training.model import LearnedModel
from internal_diffusion.types import (
  Condition,
  ParametricDenoiseFn,
  Params,
)

Array = jax.Array


def sampling_sigmas(
  model: LearnedModel, *, num_steps: int | None = None
) -> Array:
  """The grid of noise levels of a model's configuration."""
  options = model.config.sampling
  return schedules.karras_sigmas(
    options.num_steps if num_steps is None else num_steps,
    sigma_min=model.config.noise.sigma_min,
    sigma_max=model.config.noise.sigma_max,
    rho=options.rho,
  )


def guided_denoise_fn(
  model: LearnedModel, *, guidance_weight: float
) -> ParametricDenoiseFn:
  """The model's denoiser of principal coordinates, its condition weighed.

  Args:
    model: A model that was trained with condition dropout.
    guidance_weight: w in D_u + w (D_c - D_u); 1 is the model itself.

  Raises:
    ValueError: If the model was not, or the weight is not finite.
  """
  if not model.layout.given:
    raise ValueError('Guidance needs a model with a condition; this has none.')
  if model.layout.is_joint or not model.config.condition.dropout:
    raise ValueError(
      'Guidance needs a model that was trained with its condition left out at'
      ' times; train one with --config.condition.dropout=0.1, say.'
    )

  def denoise_fn(
    params: Params, x: Array, sigma: Array, cond: Condition | None
  ) -> Array:
    def conditional(x: Array, sigma: Array, cond: Condition | None) -> Array:
      return model.principal_denoise_fn(params, x, sigma, cond)

    def unconditional(x: Array, sigma: Array, cond: Condition | None) -> Array:
      assert cond is not None  # The model's own check came first.
      return conditional(x, sigma, conditioning.without_vector(cond))

    guided = guidance.classifier_free_guidance(
      conditional, unconditional, guidance_weight=guidance_weight
    )
    return guided(x, sigma, cond)

  return denoise_fn


def make_model_sample_fn(
  model: LearnedModel,
  *,
  num_steps: int | None = None,
  sampler: Sampler | None = None,
  guidance_weight: float = 1.0,
  chunk_size: int = 1024,
  return_trajectory: bool = False,
) -> SampleFn:
  """Compiled `sample_fn(params, key, cond)` of vectors [N, D].

  It samples in principal coordinates, where a step is cheaper, and decodes at
  the end. `data.distributions.make_condition` makes conditions and `split`
  takes the vectors apart.

  Args:
    model: The trained model.
    num_steps: Length of the grid; None is the configuration's.
    sampler: One of `sampling.samplers`; None is the configuration's, Heun with
      its churn.
    guidance_weight: Of classifier-free guidance; 1 is none.
    chunk_size: Samples on the device at once.
    return_trajectory: Whether to return the states at all noise levels.

  Raises:
    ValueError: If an option is not usable, or guidance is asked of a model that
      was trained without condition dropout.
  """
  if sampler is None:
    sampler = functools.partial(
      sample_heun, s_churn=model.config.sampling.s_churn
    )
  denoise_fn = model.principal_denoise_fn
  if guidance_weight != 1:
    denoise_fn = guided_denoise_fn(model, guidance_weight=guidance_weight)
  return make_sample_fn(
    denoise_fn,
    sampling_sigmas(model, num_steps=num_steps),
    sample_shape=model.params.basis.mean.shape,
    sampler=sampler,
    decode_fn=learned.decode,
    chunk_size=chunk_size,
    return_trajectory=return_trajectory,
  )
