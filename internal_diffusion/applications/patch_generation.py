"""New patches of a photograph, from a trained p(patch | level)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion import arrays
from internal_diffusion.applications import model_sampling
from internal_diffusion.sampling.api import SampleFn
from internal_diffusion.training import examples
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


def sample_levels(key: Array, model: TrainedModel, num: int) -> Array:
  """Random levels [num] int32, as often as the model was trained on them."""
  table = examples.make_table(model.level_sizes, model.config)
  uniform = arrays.uniform(key, (num,))
  return arrays.categorical_from_uniform(uniform, table.probability)


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
    sample_fn: From `model_sampling.make_model_sample_fn`.
    num: How many.
    progress: Whether to show a progress bar.

  Returns:
    The patches, clipped to [-1, 1], and their levels.

  Raises:
    ValueError: If `num` is not a positive integer, or the model is not of
      p(patch).
  """
  arrays.check_positive_int('num', num)
  if model.config.distribution != 'patch':
    raise ValueError(
      "`model` must be of the distribution 'patch', got"
      f' {model.config.distribution!r}.'
    )
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
  sample_fn = model_sampling.make_model_sample_fn(
    model, num_steps=num_steps, chunk_size=num, return_trajectory=True
  )
  level = jnp.zeros(num, jnp.int32)
  states = sample_fn(model.params, key, Condition(level=level))
  side = model.config.patch_size
  shape = (*states.shape[:2], side, side, model.image_shape[-1])
  return states.reshape(shape), np.asarray(
    model_sampling.sampling_sigmas(model, num_steps=num_steps)
  )
