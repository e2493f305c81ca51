"""New patches of a photograph, from a trained p(patch | level)."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion import arrays
from internal_diffusion.data import patches as patches_lib
from internal_diffusion.denoisers import learned
from internal_diffusion.diffusion import schedules
from internal_diffusion.sampling.api import SampleFn, make_sample_fn
from internal_diffusion.sampling.samplers import Sampler, sample_heun
from internal_diffusion.training.restore import TrainedModel
from internal_diffusion.types import Condition

Array = jax.Array


class GeneratedPatches(NamedTuple):
  """Patches and the levels they were asked for.

  Attributes:
    patches: [N, P, P, C] in [-1, 1].
    level: [N] int32.
  """

  patches: np.ndarray
  level: np.ndarray


def sampling_sigmas(
  model: TrainedModel, *, num_steps: int | None = None
) -> Array:
  """The grid of noise levels of a model's configuration."""
  options = model.config.sampling
  return schedules.karras_sigmas(
    options.num_steps if num_steps is None else num_steps,
    sigma_min=model.config.noise.sigma_min,
    sigma_max=model.config.noise.sigma_max,
    rho=options.rho,
  )


def make_patch_sample_fn(
  model: TrainedModel,
  *,
  num_steps: int | None = None,
  sampler: Sampler | None = None,
  chunk_size: int = 1024,
  return_trajectory: bool = False,
) -> SampleFn:
  """Compiled `sample_fn(params, key, cond)` of patch vectors [N, P*P*C].

  It samples in principal coordinates, where a step is cheaper, and decodes at
  the end.

  Args:
    model: The trained model.
    num_steps: Length of the grid; None is the configuration's.
    sampler: One of `sampling.samplers`; None is the configuration's, Heun with
      its churn.
    chunk_size: Patches on the device at once.
    return_trajectory: Whether to return the states at all noise levels.
  """
  if sampler is None:
    sampler = functools.partial(
      sample_heun, s_churn=model.config.sampling.s_churn
    )
  return make_sample_fn(
    model.principal_denoise_fn,
    sampling_sigmas(model, num_steps=num_steps),
    sample_shape=model.params.basis.mean.shape,
    sampler=sampler,
    decode_fn=learned.decode,
    chunk_size=chunk_size,
    return_trajectory=return_trajectory,
  )


def sample_levels(key: Array, model: TrainedModel, num: int) -> Array:
  """Random levels [num] int32, as often as the model was trained on them."""
  probabilities = patches_lib.level_probabilities(
    model.level_sizes,
    patch_size=model.config.patch_size,
    power=model.config.pyramid.level_power,
  )
  uniform = arrays.uniform(key, (num,))
  return patches_lib.levels_from_uniform(uniform, probabilities)


def generate_patches(
  key: Array,
  model: TrainedModel,
  sample_fn: SampleFn,
  *,
  num: int,
  progress: bool = False,
) -> GeneratedPatches:
  """Draws patches of all levels.

  Args:
    key: One key.
    model: The trained model.
    sample_fn: From `make_patch_sample_fn`.
    num: How many.
    progress: Whether to show a progress bar.

  Returns:
    The patches, clipped to [-1, 1], and their levels.

  Raises:
    ValueError: If `num` is not a positive integer.
  """
  arrays.check_positive_int('num', num)
  level_key, sample_key = jax.random.split(key)
  level = sample_levels(level_key, model, num)
  vectors = sample_fn(
    model.params, sample_key, Condition(level=level), progress=progress
  )
  side = model.config.patch_size
  shape = (num, side, side, model.image_shape[-1])
  return GeneratedPatches(
    np.clip(vectors.reshape(shape), -1, 1), np.asarray(level)
  )


def denoising_states(
  key: Array, model: TrainedModel, *, num: int, num_steps: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
  """States of a few patches on their way from noise to clean.

  Args:
    key: One key.
    model: The trained model.
    num: How many patches, all of the finest level.
    num_steps: Length of the grid; None is the configuration's.

  Returns:
    States [num, T+1, P, P, C], x0 + sigma eps, and the grid sigmas [T+1].
  """
  sample_fn = make_patch_sample_fn(
    model, num_steps=num_steps, chunk_size=num, return_trajectory=True
  )
  level = jnp.zeros(num, jnp.int32)
  states = sample_fn(model.params, key, Condition(level=level))
  side = model.config.patch_size
  shape = (*states.shape[:2], side, side, model.image_shape[-1])
  return states.reshape(shape), np.asarray(
    sampling_sigmas(model, num_steps=num_steps)
  )
