"""Sampling from a model of patches."""

from typing import NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion import arrays
from internal_diffusion.applications.patches.examples import make_table
from internal_diffusion.applications.patches.options import (
  Distributions,
  PatchOptions,
)
from internal_diffusion.applications.patches.training import PatchModel
from internal_diffusion.denoisers.learned import (
  LearnedDenoiser,
  PrincipalDenoiser,
)
from internal_diffusion.diffusion import conditioning, guidance, schedules
from internal_diffusion.jax_settings import with_own_settings
from internal_diffusion.sampling.api import SampleFn, make_sample_fn
from internal_diffusion.types import Condition, static

Array = jax.Array


class GeneratedPatches(NamedTuple):
  """Patches [N, P, P, C] in [-1, 1] and their pyramid levels [N], 0 finest."""

  patches: np.ndarray
  level: np.ndarray


@flax.struct.dataclass
class GuidedDenoiser:
  """Classifier-free guidance D_u + w (D_c - D_u) of a model of vectors."""

  model: PrincipalDenoiser | LearnedDenoiser
  guidance_weight: float = static()

  def __call__(
    self, x: Array, sigma: Array, cond: Condition | None = None
  ) -> Array:
    """Denoises vectors [B, D]; see `Denoiser`."""

    def unconditional(
      x: Array, sigma: Array, cond: Condition | None = None
    ) -> Array:
      if cond is not None and cond.vector is not None:
        cond = conditioning.without_vector(cond)
      return self.model(x, sigma, cond)

    guided = guidance.classifier_free_guidance(
      self.model, unconditional, guidance_weight=self.guidance_weight
    )
    return guided(x, sigma, cond)

  def decode(self, z: Array) -> Array:
    """Vectors [B, D] of principal coordinates [B, D]."""
    return self.model.decode(z)


def guided(model: LearnedDenoiser, *, guidance_weight: float) -> GuidedDenoiser:
  """A denoiser with guidance of weight w; 1 is the model itself.

  Raises:
    ValueError: If the model has no condition or was trained without condition
      dropout.
  """
  if not model.layout.given:
    raise ValueError('Guidance needs a model with a condition; this has none.')
  if model.layout.is_joint or not model.network.num_parts:
    raise ValueError(
      'Guidance needs a model that was trained with condition dropout; train'
      ' one with `condition.dropout` 0.1, for example.'
    )
  return GuidedDenoiser(PrincipalDenoiser(model), guidance_weight)


def sampling_sigmas(options: PatchOptions) -> Array:
  """The sampler's grid of noise levels, [T+1]."""
  return schedules.karras_sigmas(
    options.sampling.num_steps,
    sigma_min=options.noise.sigma_min,
    sigma_max=options.noise.sigma_max,
    rho=options.sampling.rho,
  )


def _sample_fn(
  model: LearnedDenoiser,
  options: PatchOptions,
  chunk_size: int,
  *,
  return_trajectory: bool = False,
) -> SampleFn:
  # Sampling in principal coordinates is cheaper; the results are decoded.
  return make_sample_fn(
    sampling_sigmas(options),
    sample_shape=(sum(model.layout.x0_sizes),),
    s_churn=options.sampling.s_churn,
    decodes=True,
    chunk_size=chunk_size,
    return_trajectory=return_trajectory,
  )


@with_own_settings
def sample_vectors(
  key: Array,
  model: LearnedDenoiser,
  options: PatchOptions,
  cond: Condition | None = None,
  *,
  num: int | None = None,
  guidance_weight: float = 1.0,
  chunk_size: int = 1024,
  progress: bool = False,
) -> np.ndarray:
  """Draws vectors of any distribution.

  `data.distributions.make_condition` makes conditions, and `split` divides
  vectors into their parts.

  Args:
    key: One key.
    model: The denoiser.
    options: `noise` and `sampling` give the grid and the churn.
    cond: Conditions with a leading axis N, or None.
    num: Number of samples N; optional where there is a condition.
    guidance_weight: Weight of classifier-free guidance; 1 is none.
    chunk_size: Number of samples on the device at once.
    progress: Whether to show a progress bar.

  Returns:
    Vectors, [N, D].

  Raises:
    ValueError: If the condition does not fit the model, or guidance is asked of
      a model that was trained without condition dropout.
  """
  denoiser: PrincipalDenoiser | GuidedDenoiser = PrincipalDenoiser(model)
  if guidance_weight != 1:
    denoiser = guided(model, guidance_weight=guidance_weight)
  sample_fn = _sample_fn(model, options, chunk_size)
  return sample_fn(denoiser, key, cond, num_samples=num, progress=progress)


@with_own_settings
def sample_patches(
  key: Array,
  model: PatchModel,
  *,
  num: int,
  chunk_size: int = 1024,
  progress: bool = False,
) -> GeneratedPatches:
  """Draws patches of all pyramid levels.

  Args:
    key: One key.
    model: A model of p(patch).
    num: Number of patches N.
    chunk_size: Number of samples on the device at once.
    progress: Whether to show a progress bar.

  Returns:
    The patches, clipped to [-1, 1], and their levels.

  Raises:
    ValueError: If `num` is not a positive integer, or the model is of another
      distribution.
  """
  arrays.check_positive_int('num', num)
  options = model.options
  if options.distribution != Distributions.PATCH:
    raise ValueError(
      "`model` must be of the distribution 'patch', got"
      f' {str(options.distribution)!r}.'
    )
  level_key, sample_key = jax.random.split(key)
  table = make_table(model.level_sizes, options)  # Levels as in training.
  level = arrays.categorical_from_uniform(
    arrays.uniform(level_key, (num,)), table.probability
  )
  vectors = sample_vectors(
    sample_key,
    model.denoiser,
    options,
    Condition(level=level),
    chunk_size=chunk_size,
    progress=progress,
  )
  found = vectors.reshape(num, *_patch_shape(model)).clip(-1, 1)
  return GeneratedPatches(found, np.asarray(level))


@with_own_settings
def denoising_states(
  key: Array, model: PatchModel, *, num: int
) -> tuple[np.ndarray, np.ndarray]:
  """States of a few patches of the finest level, from noise to clean.

  Returns:
    States x0 + sigma eps, [num, T+1, P, P, C], and the noise levels, [T+1].
  """
  sample_fn = _sample_fn(
    model.denoiser, model.options, num, return_trajectory=True
  )
  cond = Condition(level=jnp.zeros(num, jnp.int32))
  states = sample_fn(PrincipalDenoiser(model.denoiser), key, cond)
  shape = (*states.shape[:2], *_patch_shape(model))
  return states.reshape(shape), np.asarray(sampling_sigmas(model.options))


def _patch_shape(model: PatchModel) -> tuple[int, int, int]:
  side = model.options.patch_size
  return side, side, model.image_shape[-1]
