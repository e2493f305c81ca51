"""Models of points with conditions, small enough to know everything about.

The closed form for such a set, at sigma = inf, is a softmax over distances of
conditions: point j is drawn under the condition c with the probability

  w_j(c) ~ exp(-|c - c_j|^2 / (2 sigma_aug^2)),

uniform over the points with the same condition where there is no noise.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion.applications.model_sampling import make_model_sample_fn
from internal_diffusion.configs import default
from internal_diffusion.sampling.api import SampleFn
from internal_diffusion.training.examples import from_points
from internal_diffusion.training.fit import fit
from internal_diffusion.training.model import LearnedModel
from internal_diffusion.types import Condition

# `sample(conditions [N, K]) -> points [N, D]`.
PointSampleFn = Callable[[np.ndarray], np.ndarray]
# `watch_fn(step, sample)`.
WatchFn = Callable[[int, PointSampleFn], None]


def get_config(seed: int, *, sigma_aug: float, num_steps: int) -> Any:
  """A small network that regresses on the points themselves."""
  config = default.get_config()
  config.seed = seed
  config.num_steps = num_steps
  config.steps_per_call = max(1, num_steps // 20)
  config.network.width = 128
  config.batch_size = 1024
  config.num_references = 0
  config.condition.sigma_aug = sigma_aug
  config.noise.sigma_min = 0.005
  config.noise.sigma_max = 10.0
  config.sampling.num_steps = 18
  return config


def fit_points(
  x0: np.ndarray,
  conditions: np.ndarray,
  config: Any,
  *,
  watch_fn: WatchFn | None = None,
  progress: bool = False,
) -> PointSampleFn:
  """Trains on points [N, D] with conditions [N, K].

  Returns:
    `sample(conditions [M, K]) -> points [M, D]` of the trained model.
  """
  sample_fns: list[SampleFn] = []

  def sampler(model: LearnedModel) -> PointSampleFn:
    if not sample_fns:  # Parameters are its argument: one serves all steps.
      sample_fns.append(make_model_sample_fn(model, chunk_size=2048))

    def sample(conditions: np.ndarray) -> np.ndarray:
      cond = Condition(vector=jnp.asarray(conditions, jnp.float32))
      key = jax.random.key(config.seed)
      return sample_fns[0](model.params, key, cond)

    return sample

  def watch(step: int, model: LearnedModel) -> None:
    if watch_fn is not None:
      watch_fn(step, sampler(model))

  model = fit(
    from_points(x0, conditions=conditions),
    config,
    watch_fn=watch,
    progress=progress,
  )
  return sampler(model)


def kernel_weights(
  queries: np.ndarray, conditions: np.ndarray, *, sigma_aug: float
) -> np.ndarray:
  """w_j of the module's docstring for queries [M, K], [M, N].

  Args:
    queries: What is asked, [M, K].
    conditions: Those of the points, [N, K].
    sigma_aug: Noise level of the conditions; 0 is the limit of no noise.
  """
  distance = ((queries[:, None] - conditions[None]) ** 2).sum(axis=-1)
  distance = distance - distance.min(axis=1, keepdims=True)
  if sigma_aug:
    weight = np.exp(-distance / (2 * sigma_aug**2))
  else:
    weight = (distance < 1e-12).astype(np.float64)
  return weight / weight.sum(axis=1, keepdims=True)


def nearest_frequencies(samples: np.ndarray, points: np.ndarray) -> np.ndarray:
  """How often each point [N, D] is nearest to samples [K, D], [N]."""
  distance = ((samples[:, None] - points[None]) ** 2).sum(axis=-1)
  counts = np.bincount(distance.argmin(axis=1), minlength=len(points))
  return counts / len(samples)


def ring(num_points: int) -> np.ndarray:
  """Points on the unit circle at even distances, [N, 2]."""
  angle = 2 * np.pi * np.arange(num_points) / num_points
  return np.stack([np.cos(angle), np.sin(angle)], axis=-1).astype(np.float32)
