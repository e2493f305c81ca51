"""Models of points with conditions, whose exact answers are known.

The closed form for such a set, at sigma = inf, is a softmax over distances of
conditions: point j has the probability, under the condition c,

  w_j(c) ~ exp(-|c - c_j|^2 / (2 sigma_aug^2)),

which is uniform over the points of the same condition where sigma_aug is 0.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion.applications.patches import PatchOptions, sample_vectors
from internal_diffusion.applications.patches.training import fit_denoiser
from internal_diffusion.denoisers.learned import LearnedDenoiser
from internal_diffusion.experiments.frequencies import (
  nearest_frequencies,
  total_variation,
)
from internal_diffusion.options import replace
from internal_diffusion.training.examples import point_examples
from internal_diffusion.types import Condition

# `sample(conditions [N, K]) -> points [N, D]`.
PointSampleFn = Callable[[np.ndarray], np.ndarray]
# `watch(step, sample)`.
WatchFn = Callable[[int, PointSampleFn], None]


def point_options(
  seed: int, *, sigma_aug: float, num_steps: int
) -> PatchOptions:
  """Options of a small network that regresses on the points themselves."""
  return replace(
    PatchOptions(),
    seed=seed,
    num_steps=num_steps,
    steps_per_call=max(1, num_steps // 20),
    network={'width': 128},
    batch_size=1024,
    num_references=0,
    condition={'sigma_aug': sigma_aug},
    noise={'sigma_min': 0.005, 'sigma_max': 10.0},
    sampling={'num_steps': 18},
  )


def fit_points(
  x0: np.ndarray,
  conditions: np.ndarray,
  options: PatchOptions,
  *,
  watch: WatchFn | None = None,
  progress: bool = False,
) -> PointSampleFn:
  """Trains on points [N, D] with conditions [N, K]; returns a sampler."""

  def sampler(model: LearnedDenoiser) -> PointSampleFn:
    def sample(conditions: np.ndarray) -> np.ndarray:
      cond = Condition(vector=jnp.asarray(conditions, jnp.float32))
      key = jax.random.key(options.seed)
      return sample_vectors(key, model, options, cond, chunk_size=2048)

    return sample

  def watch_model(step: int, model: LearnedDenoiser) -> None:
    if watch is not None:
      watch(step, sampler(model))

  examples = point_examples(x0, conditions=conditions)
  fitted = fit_denoiser(examples, options, watch=watch_model, progress=progress)
  return sampler(fitted.model)


def kernel_weights(
  queries: np.ndarray, conditions: np.ndarray, *, sigma_aug: float
) -> np.ndarray:
  """Probabilities w_j, [M, N], for queries [M, K] and conditions [N, K]."""
  distance = ((queries[:, None] - conditions[None]) ** 2).sum(axis=-1)
  distance = distance - distance.min(axis=1, keepdims=True)
  if sigma_aug:
    weight = np.exp(-distance / (2 * sigma_aug**2))
  else:
    weight = (distance < 1e-12).astype(np.float64)
  return weight / weight.sum(axis=1, keepdims=True)


def compare(
  sample: PointSampleFn,
  queries: np.ndarray,
  points: np.ndarray,
  exact: np.ndarray,
  *,
  num: int,
) -> tuple[np.ndarray, np.ndarray]:
  """Draws `num` points for each query and compares them with exact weights.

  Returns:
    Draws [M, num, D], and total variations [M].
  """
  drawn = sample(np.repeat(queries, num, axis=0)).reshape(len(queries), num, -1)
  distances = [
    total_variation(nearest_frequencies(found, points), weights)
    for found, weights in zip(drawn, exact, strict=True)
  ]
  return drawn, np.array(distances)


def ring(num_points: int) -> np.ndarray:
  """Points on the unit circle at even distances, [N, 2]."""
  angle = 2 * np.pi * np.arange(num_points) / num_points
  return np.stack([np.cos(angle), np.sin(angle)], axis=-1).astype(np.float32)
