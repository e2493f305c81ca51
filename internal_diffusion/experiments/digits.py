"""Vectors that are not patches: handwritten digits, by class.

The 1797 digits of 8 x 8 pixels in scikit-learn's wheel stand for the lectures'
data sets, which cannot be had without a download. They are divided into three
parts. A conditional model is trained on the first, its condition dropped at
times, for classifier-free guidance. A small perceptron is trained on the
second: it judges the class of generated digits, and the Frechet distance is
taken in its hidden features. The third, the test set, is what distances refer
to.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion import figures
from internal_diffusion.applications.patches import sample_vectors
from internal_diffusion.data import image_io
from internal_diffusion.evaluation import frechet_distance
from internal_diffusion.experiments import points
from internal_diffusion.experiments.result import Measure, Result
from internal_diffusion.experiments.training import scaled
from internal_diffusion.options import replace
from internal_diffusion.training.denoising import fit_denoiser
from internal_diffusion.training.examples import point_examples
from internal_diffusion.types import Condition

_NUM_STEPS = 3000
_WEIGHTS = (0.0, 1.0, 1.5, 3.0)
_NUM_EACH = 60  # Generated digits of each class.
_NUM_CLASSES, _SIDE = 10, 8


class Digits(NamedTuple):
  """Digits in [-1, 1], [N, 64], and their classes, [N]."""

  x: np.ndarray
  label: np.ndarray


class Judge(NamedTuple):
  """A perceptron of one hidden layer.

  Attributes:
    layers: Weights and offsets of the hidden and of the output layer.
  """

  layers: tuple[tuple[np.ndarray, np.ndarray], ...]

  def features(self, x: np.ndarray) -> np.ndarray:
    """Hidden features, [N, F]."""
    weights, offset = self.layers[0]
    return np.maximum(x @ weights + offset, 0)

  def share(self, digits: Digits) -> float:
    """Fraction of digits that it assigns to their class."""
    weights, offset = self.layers[1]
    found = (self.features(digits.x) @ weights + offset).argmax(axis=-1)
    return float((found == digits.label).mean())


def run(seed: int, *, effort: float = 1.0, progress: bool = False) -> Result:
  """Trains, draws at several weights of guidance, judges."""
  train, validation, test = parts(seed)
  judge = fit_judge(validation, seed)
  options = replace(
    points.point_options(
      seed, sigma_aug=0.0, num_steps=scaled(_NUM_STEPS, effort, at_least=4)
    ),
    network={'width': 192},
    batch_size=256,
    condition={'dropout': 0.15},
    noise={'sigma_min': 0.02, 'sigma_max': 20.0},
    optimizer={'learning_rate': 2e-3},
  )
  one_hot = np.eye(_NUM_CLASSES, dtype=np.float32)
  examples = point_examples(train.x, conditions=one_hot[train.label])
  model = fit_denoiser(examples, options, progress=progress).model
  label = np.repeat(
    np.arange(_NUM_CLASSES), scaled(_NUM_EACH, effort, at_least=8)
  )
  cond = Condition(vector=jnp.asarray(one_hot[label]))
  drawn = {
    weight: Digits(
      sample_vectors(
        jax.random.key(seed), model, options, cond, guidance_weight=weight
      ),
      label,
    )
    for weight in _WEIGHTS
  }

  def distance(digits: Digits) -> float:
    return frechet_distance(judge.features(digits.x), judge.features(test.x))

  baseline = distance(train)
  measures = {
    'share of the class: test digits': Measure(judge.share(test)),
    'Frechet distance: train to test': Measure(baseline),
  }
  for weight, digits in drawn.items():
    measures[f'share of the class: weight {weight:g}'] = Measure(
      judge.share(digits), at_least=0.97 if weight == 1.5 else None
    )
    measures[f'Frechet distance over train to test: weight {weight:g}'] = (
      Measure(distance(digits) / baseline, at_most=1.5 if weight == 1 else None)
    )
  measures['distance to the nearest training digit, over a test digit'] = (
    Measure(nearest(drawn[1.0].x, train.x) / nearest(test.x, train.x))
  )
  return Result(
    measures=measures,
    samples={
      'label': label,
      **{f'drawn: weight {w:g}': digits.x for w, digits in drawn.items()},
    },
    pictures={
      'digits': (
        functools.partial(_picture, drawn, test),
        'Digits drawn by class at several weights of guidance, beside real'
        ' ones.',
      )
    },
  )


def parts(seed: int) -> tuple[Digits, Digits, Digits]:
  """The digits for training, for the judge and for the test."""
  # The import takes a second, which other experiments would wait for.
  from sklearn import datasets

  x, label = datasets.load_digits(return_X_y=True)
  order = np.random.default_rng(seed).permutation(len(x))
  values = (x[order] / 8 - 1).astype(np.float32)
  cuts = (len(x) // 2, 3 * len(x) // 4)
  train, validation, test = (
    Digits(*pair)
    for pair in zip(
      np.split(values, cuts), np.split(label[order], cuts), strict=True
    )
  )
  return train, validation, test


def fit_judge(digits: Digits, seed: int) -> Judge:
  """The perceptron, trained on noisy and moved copies of digits."""
  from sklearn import neural_network

  rng = np.random.default_rng(seed)
  squares = digits.x.reshape(-1, _SIDE, _SIDE)
  moved = [squares, np.roll(squares, 1, axis=2), np.roll(squares, -1, axis=2)]
  x = np.concatenate(moved).reshape(-1, _SIDE**2)
  x = x + rng.normal(scale=0.1, size=x.shape)
  classifier = neural_network.MLPClassifier(
    (48,), alpha=0.1, max_iter=300, tol=1e-3, random_state=seed
  )
  classifier.fit(x, np.tile(digits.label, len(moved)))
  layers = zip(classifier.coefs_, classifier.intercepts_, strict=True)
  return Judge(tuple(layers))


def nearest(x: np.ndarray, references: np.ndarray) -> float:
  """Median distance of vectors to the nearest reference."""
  squares = (x**2).sum(axis=-1)[:, None] - 2 * x @ references.T
  squares = squares + (references**2).sum(axis=-1)[None]
  return float(np.sqrt(np.median(squares.min(axis=1))))


@figures.own_style
def _picture(drawn: dict[float, Digits], test: Digits) -> figures.Figure:
  shown = {
    'real': test,
    **{f'weight {weight:g}': digits for weight, digits in drawn.items()},
  }
  figure = figures.new_figure(
    3 * len(shown), 4, title='Digits with classifier-free guidance'
  )
  for ax, (name, digits) in zip(
    figure.subplots(1, len(shown)), shown.items(), strict=True
  ):
    columns = [digits.x[digits.label == c][:10] for c in range(_NUM_CLASSES)]
    rows = np.stack(columns).reshape(-1, _SIDE, _SIDE, 1)
    grid = image_io.make_grid(
      np.clip(rows, -1, 1), num_columns=_NUM_CLASSES, zoom=2
    )
    figures.show_image(ax, grid, name)
  return figure
