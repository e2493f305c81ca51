"""Vectors of given classes, drawn with and without guidance, and judged.

One network learns the vectors with and without their class (condition dropout),
and a noise-aware classifier learns the class of noisy vectors. Vectors of a
class are drawn by the conditional model, by classifier guidance and by
classifier-free guidance, with growing weights. A second classifier, the judge,
which was trained on other vectors, assigns each to a class: the fraction that
it assigns to the class asked for is the fidelity. The variance of the drawn
vectors over that of real ones is their diversity.
"""

import functools
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion.applications.patches import inference
from internal_diffusion.denoisers.learned import LearnedDenoiser
from internal_diffusion.denoisers.noisy_classifier import (
  ClassifierGuided,
  NoisyClassifier,
  Thresholded,
)
from internal_diffusion.diffusion import schedules
from internal_diffusion.experiments import points
from internal_diffusion.experiments.training import scaled
from internal_diffusion.options import replace
from internal_diffusion.sampling import make_sample_fn
from internal_diffusion.training.classification import fit_classifier
from internal_diffusion.training.denoising import fit_denoiser
from internal_diffusion.training.examples import point_examples
from internal_diffusion.training.options import DenoiserOptions
from internal_diffusion.types import Condition, Denoiser

WEIGHTS = (1.0, 3.0, 8.0)
_NUM_STEPS, _NUM_CLASSIFIER_STEPS = 2000, 3000
_NUM_SAMPLING_STEPS, _CHURN = 80, 60.0


class Models(NamedTuple):
  """The models of an experiment with classes.

  Attributes:
    denoiser: The conditional model, which can do without its condition.
    guide: The classifier that guides.
    judge: The classifier that judges.
  """

  denoiser: LearnedDenoiser
  guide: NoisyClassifier
  judge: NoisyClassifier


class Drawn(NamedTuple):
  """Vectors drawn under guidance.

  Attributes:
    vectors: [K, N, D], by class.
    share: Fraction that the judge assigns to the class asked for.
    diversity: Total variance over that of real vectors, mean of the classes.
    outside: Fraction of values at the bounds of [-1, 1] or beyond.
  """

  vectors: np.ndarray
  share: float
  diversity: float
  outside: float


def train(
  fitted: np.ndarray,
  held_out: np.ndarray,
  seed: int,
  *,
  effort: float,
  progress: bool,
) -> Models:
  """Trains the models on vectors [K, N, D] and the judge on held-out ones."""
  options = replace(
    _options(seed, scaled(_NUM_STEPS, effort, at_least=4)),
    condition={'dropout': 0.3},
    num_references=512,
  )
  num_steps = scaled(_NUM_CLASSIFIER_STEPS, effort, at_least=4)
  guide = _options(seed, num_steps)
  # The judge sees nearly clean vectors alone.
  judge = replace(
    _options(seed + 1, num_steps), noise={'sigma_min': 0.01, 'sigma_max': 0.05}
  )
  classify = functools.partial(
    fit_classifier, num_classes=len(fitted), progress=progress
  )
  return Models(
    fit_denoiser(_examples(fitted), options, progress=progress).model,
    classify(_examples(fitted), guide).model,
    classify(_examples(held_out), judge).model,
  )


def _options(seed: int, num_steps: int) -> DenoiserOptions:
  return replace(
    points.point_options(seed, sigma_aug=0.0, num_steps=num_steps),
    network={'width': 192},
    batch_size=512,
    noise={'sigma_min': 0.01, 'sigma_max': 20.0},
  )


def _examples(groups: np.ndarray) -> Any:
  classes = np.repeat(np.eye(len(groups)), groups.shape[1], axis=0)
  return point_examples(
    groups.reshape(-1, groups.shape[-1]), conditions=classes
  )


def draw_all(
  seed: int, models: Models, real: np.ndarray, num: int
) -> dict[str, Drawn]:
  """Draws `num` vectors of each class under every guidance."""
  num_classes, variance = len(real), real.var(axis=1).sum(axis=-1)
  sample_fn = make_sample_fn(
    schedules.karras_sigmas(
      _NUM_SAMPLING_STEPS, sigma_min=0.01, sigma_max=20.0
    ),
    sample_shape=real.shape[-1:],
    chunk_size=num,
    # Fresh noise corrects what the classifier's gradient gets wrong.
    s_churn=_CHURN,
  )
  classes = np.repeat(np.eye(num_classes, dtype=np.float32), num, axis=0)
  cond = Condition(vector=jax.device_put(classes))

  def draw(denoiser: Denoiser) -> Drawn:
    found = sample_fn(denoiser, jax.random.key(seed), cond)
    found = found.reshape(num_classes, num, -1)
    spread = found.var(axis=1).sum(axis=-1) / variance
    outside = float((abs(found) >= 1 - 1e-5).mean())
    right = share(models.judge, found)
    return Drawn(found, right, float(spread.mean()), outside)

  model = models.denoiser
  unconditional = _Unconditional(model, num_classes)
  denoisers: dict[str, Denoiser] = {'conditional model': model}
  for weight in WEIGHTS:
    denoisers[f'classifier, weight {weight:g}'] = ClassifierGuided(
      unconditional, models.guide, weight
    )
    # Of weight 1 it is the conditional model.
    free = inference.GuidedDenoiser(model, weight) if weight != 1 else model
    denoisers[f'classifier-free, weight {weight:g}'] = free
  last = f'classifier-free, weight {WEIGHTS[-1]:g}'
  denoisers[f'{last}, no threshold'] = denoisers[last]
  denoisers[f'{last}, static threshold'] = Thresholded(free)
  denoisers[f'{last}, dynamic threshold'] = Thresholded(free, 0.99)
  return {name: draw(denoiser) for name, denoiser in denoisers.items()}


@flax.struct.dataclass
class _Unconditional:
  """A model without its condition, which was dropped in training."""

  model: Denoiser
  num_classes: int = flax.struct.field(pytree_node=False)

  def __call__(
    self, x: jax.Array, sigma: jax.Array, cond: Condition | None = None
  ) -> jax.Array:
    del cond
    nothing = Condition(
      vector=jnp.zeros((len(x), self.num_classes)),
      given=jnp.zeros((len(x), 1), bool),
    )
    return self.model(x, sigma, nothing)


def share(judge: NoisyClassifier, groups: np.ndarray) -> float:
  """Fraction of vectors [K, N, D] that the judge assigns to their class."""
  right = [
    np.asarray(_judge(judge, jnp.asarray(group))) == label
    for label, group in enumerate(groups)
  ]
  return float(np.mean(right))


@jax.jit
def _judge(judge: NoisyClassifier, x: jax.Array) -> jax.Array:
  return jnp.argmax(judge.log_posterior(x, jnp.float32(0.02)), axis=-1)
