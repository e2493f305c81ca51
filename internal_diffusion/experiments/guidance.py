"""Guidance by a classifier and without one, on a mixture and on two textures.

On a mixture of Gaussians everything is exact: guidance of weight 1 by the exact
classifier is the conditional distribution.

On patches of two textures, brick and gravel, one network learns the patches
with and without their texture (condition dropout), and a noise-aware classifier
learns the texture of noisy patches. Patches of a texture are drawn by the
conditional model, by classifier guidance and by classifier-free guidance, with
growing weights. A second classifier, trained on other patches, tells the
share that belongs to the texture asked for (fidelity); the variance of the
drawn patches over that of real ones is their diversity. At the largest weight,
estimates leave [-1, 1]: static and dynamic thresholding bring them back.
"""

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import skimage.data

from internal_diffusion import figures
from internal_diffusion.applications.patches import inference
from internal_diffusion.data import image_io, patches
from internal_diffusion.denoisers.gaussian_mixture import (
  GaussianMixtureDenoiser,
)
from internal_diffusion.denoisers.noisy_classifier import (
  ClassifierGuided,
  NoisyClassifier,
  Thresholded,
)
from internal_diffusion.diffusion import schedules
from internal_diffusion.experiments import mixtures, points
from internal_diffusion.experiments.frequencies import (
  nearest_frequencies,
  total_variation,
)
from internal_diffusion.experiments.result import Measure, Result
from internal_diffusion.experiments.training import scaled
from internal_diffusion.options import replace
from internal_diffusion.sampling import make_sample_fn
from internal_diffusion.training.classification import fit_classifier
from internal_diffusion.training.denoising import fit_denoiser
from internal_diffusion.training.examples import point_examples
from internal_diffusion.training.options import DenoiserOptions
from internal_diffusion.types import Condition, Denoiser

_WEIGHTS = (1.0, 3.0, 8.0)
_PATCH_SIZE = 11
_SIDE = 160  # Of a texture, in pixels.
_NUM_STEPS, _NUM_CLASSIFIER_STEPS = 2000, 1000
_NUM_SAMPLES = 512  # Of each texture.
_NUM_EXACT = 20_000
_CHURN = 16.0
_TEXTURES = ('brick', 'gravel')
_SHOWN = 60


class Drawn(NamedTuple):
  """Patches drawn under guidance.

  Attributes:
    patches: [2, N, D], by texture.
    share: Fraction that the judge assigns to the texture asked for.
    diversity: Total variance over that of real patches, mean of the textures.
    outside: Fraction of values at the bounds of [-1, 1] or beyond.
  """

  patches: np.ndarray
  share: float
  diversity: float
  outside: float


@flax.struct.dataclass
class ClassOfMixture:
  """The exact classifier of groups of a mixture's components.

  Attributes:
    whole: The mixture of all components.
    part: The mixture of the class asked for, of weights that sum to 1.
  """

  whole: GaussianMixtureDenoiser
  part: GaussianMixtureDenoiser

  def __call__(
    self, x: jax.Array, sigma: jax.Array, cond: Condition | None = None
  ) -> jax.Array:
    """Log p(class | x; sigma) up to a constant, [B]."""
    del cond
    return self.part.log_density(x, sigma) - self.whole.log_density(x, sigma)


def run(seed: int, *, effort: float = 1.0, progress: bool = False) -> Result:
  """Guides on the mixture, then on the textures."""
  exact = exact_total_variation(
    jax.random.key(seed), scaled(_NUM_EXACT, effort, at_least=256)
  )
  fitted, held_out = texture_patches()
  models = _train(fitted, held_out, seed, effort, progress)
  num = scaled(_NUM_SAMPLES, effort, at_least=64)
  drawn = _draw_all(seed, models, fitted, num)
  measures = {
    'mixture, exact classifier: total variation to the conditional': Measure(
      exact, at_most=0.03
    ),
    'share of the class: real patches': Measure(
      _share(models['judge'], fitted)
    ),
  }
  for name, found in drawn.items():
    at_least = 0.95 if name == 'classifier, weight 1' else None
    measures[f'share of the class: {name}'] = Measure(
      found.share, at_least=at_least
    )
    measures[f'diversity: {name}'] = Measure(found.diversity)
  for name in ('no threshold', 'static threshold', 'dynamic threshold'):
    found = drawn[f'classifier-free, weight 8, {name}']
    measures[f'weight 8, {name}: fraction of values at the bounds'] = Measure(
      found.outside
    )
  return Result(
    measures=measures,
    samples={f'drawn: {name}': found.patches for name, found in drawn.items()},
    pictures={
      'trade_off': (
        functools.partial(_trade_off, drawn),
        'Fidelity and diversity over the weight of guidance.',
      ),
      'patches': (
        functools.partial(_patches, drawn, fitted),
        'Patches of two textures by guidance, beside real ones.',
      ),
    },
  )


def exact_total_variation(key: jax.Array, num: int) -> float:
  """Distance of guided draws from the exact conditional of a mixture."""
  whole = mixtures.three_modes()
  members = np.array([0, 2])
  weights = np.exp(np.asarray(whole.log_weights))[members]
  weights = weights / weights.sum()
  part = jax.tree.map(lambda field: field[members], whole)
  part = part.replace(log_weights=jnp.log(jnp.asarray(weights)))
  guided = ClassifierGuided(whole, ClassOfMixture(whole, part), 1.0)
  sample_fn = make_sample_fn(
    schedules.karras_sigmas(24, sigma_min=0.01, sigma_max=20.0),
    sample_shape=(2,),
    chunk_size=4096,
  )
  found = sample_fn(guided, key, num_samples=num)
  frequencies = nearest_frequencies(found, np.asarray(whole.means))
  expected = np.zeros(3)
  expected[members] = weights
  return total_variation(frequencies, expected)


def texture_patches() -> tuple[np.ndarray, np.ndarray]:
  """Patches of two textures, of the left and right halves, [2, N, D] each."""
  halves: list[list[np.ndarray]] = [[], []]
  for name in _TEXTURES:
    pixels = getattr(skimage.data, name)()[..., None].astype(np.float32)
    image = image_io.bound_side(pixels / 127.5 - 1, max_side=_SIDE)
    half = image.shape[1] // 2
    for part, cut in zip(
      halves, (image[:, :half], image[:, half:]), strict=True
    ):
      dense = patches.extract_patches(jnp.asarray(cut), patch_size=_PATCH_SIZE)
      part.append(np.asarray(dense).reshape(-1, dense.shape[-1]))
  fitted, held_out = (np.stack(part) for part in halves)
  return fitted, held_out


def _options(seed: int, num_steps: int) -> DenoiserOptions:
  return replace(
    points.point_options(seed, sigma_aug=0.0, num_steps=num_steps),
    network={'width': 192},
    batch_size=512,
    noise={'sigma_min': 0.01, 'sigma_max': 20.0},
  )


def _train(
  fitted: np.ndarray,
  held_out: np.ndarray,
  seed: int,
  effort: float,
  progress: bool,
) -> dict[str, Any]:
  """The conditional model, the guiding classifier and the judge."""

  def examples(groups: np.ndarray) -> Any:
    classes = np.repeat(np.eye(len(groups)), groups.shape[1], axis=0)
    return point_examples(
      groups.reshape(-1, groups.shape[-1]), conditions=classes
    )

  options = replace(
    _options(seed, scaled(_NUM_STEPS, effort, at_least=4)),
    condition={'dropout': 0.3},
    num_references=512,
  )
  num_steps = scaled(_NUM_CLASSIFIER_STEPS, effort, at_least=4)
  guide = _options(seed, num_steps)
  # The judge sees nearly clean patches of the other halves alone.
  judge = replace(
    _options(seed + 1, num_steps), noise={'sigma_min': 0.01, 'sigma_max': 0.05}
  )
  classify = functools.partial(fit_classifier, num_classes=2, progress=progress)
  return {
    'model': fit_denoiser(examples(fitted), options, progress=progress).model,
    'guide': classify(examples(fitted), guide).model,
    'judge': classify(examples(held_out), judge).model,
  }


def _draw_all(
  seed: int, models: Mapping[str, Any], real: np.ndarray, num: int
) -> dict[str, Drawn]:
  """Draws under every guidance."""
  model, guide = models['model'], models['guide']
  variance = real.var(axis=1).sum(axis=-1)
  sample_fn = make_sample_fn(
    schedules.karras_sigmas(40, sigma_min=0.01, sigma_max=20.0),
    sample_shape=real.shape[-1:],
    chunk_size=num,
    # Fresh noise corrects what the classifier's gradient gets wrong.
    s_churn=_CHURN,
  )
  classes = np.repeat(np.eye(2, dtype=np.float32), num, axis=0)
  cond = Condition(vector=jax.device_put(classes))

  def draw(denoiser: Denoiser) -> Drawn:
    found = sample_fn(denoiser, jax.random.key(seed), cond)
    found = found.reshape(2, num, -1)
    spread = found.var(axis=1).sum(axis=-1) / variance
    outside = float((abs(found) >= 1 - 1e-5).mean())
    share = _share(models['judge'], found)
    return Drawn(found, share, float(spread.mean()), outside)

  unconditional = _Unconditional(model)
  denoisers: dict[str, Denoiser] = {'conditional model': model}
  for weight in _WEIGHTS:
    denoisers[f'classifier, weight {weight:g}'] = ClassifierGuided(
      unconditional, guide, weight
    )
    free = inference.GuidedDenoiser(model, weight)
    denoisers[f'classifier-free, weight {weight:g}'] = free
  last = f'classifier-free, weight {_WEIGHTS[-1]:g}'
  denoisers[f'{last}, no threshold'] = denoisers[last]
  denoisers[f'{last}, static threshold'] = Thresholded(free)
  denoisers[f'{last}, dynamic threshold'] = Thresholded(free, 0.99)
  return {name: draw(denoiser) for name, denoiser in denoisers.items()}


@flax.struct.dataclass
class _Unconditional:
  """A model without its condition, which was dropped in training."""

  model: Denoiser

  def __call__(
    self, x: jax.Array, sigma: jax.Array, cond: Condition | None = None
  ) -> jax.Array:
    del cond
    nothing = Condition(
      vector=jnp.zeros((len(x), 2)), given=jnp.zeros((len(x), 1), bool)
    )
    return self.model(x, sigma, nothing)


def _share(judge: NoisyClassifier, groups: np.ndarray) -> float:
  """Fraction of patches [2, N, D] that the judge assigns to their texture."""
  right = [
    np.asarray(_judge(judge, jnp.asarray(group))) == label
    for label, group in enumerate(groups)
  ]
  return float(np.mean(right))


@jax.jit
def _judge(judge: NoisyClassifier, x: jax.Array) -> jax.Array:
  return jnp.argmax(judge.log_posterior(x, jnp.float32(0.02)), axis=-1)


@figures.own_style
def _trade_off(drawn: dict[str, Drawn]) -> figures.Figure:
  figure = figures.new_figure(7, 4.5, title='Fidelity and diversity')
  ax = figure.subplots()
  for kind in ('classifier', 'classifier-free'):
    found = [drawn[f'{kind}, weight {w:g}'] for w in _WEIGHTS]
    share, diversity = (
      [getattr(f, n) for f in found] for n in ('share', 'diversity')
    )
    ax.plot(diversity, share, 'o-', label=f'{kind} guidance')
    for weight, x, y in zip(_WEIGHTS, diversity, share, strict=True):
      ax.annotate(f'{weight:g}', (x, y), (4, -11), textcoords='offset points')
  plain = drawn['conditional model']
  ax.plot(plain.diversity, plain.share, '*', markersize=12, label='conditional')
  ax.set(xlabel='variance over that of real patches')
  ax.set_ylabel('share of the texture asked for')
  ax.legend()
  return figure


@figures.own_style
def _patches(drawn: dict[str, Drawn], real: np.ndarray) -> figures.Figure:
  rng = np.random.default_rng(0)
  chosen = [group[rng.permutation(len(group))[:_SHOWN]] for group in real]
  shown = {
    'real': np.stack(chosen),
    'conditional model': drawn['conditional model'].patches,
    **{
      name: drawn[name].patches
      for name in drawn
      if name.endswith(('weight 1', 'weight 8', ' threshold'))
    },
  }
  figure = figures.new_figure(11, 1.25 * len(shown), title='Two textures')
  axes = figure.subplots(len(shown), 2)
  for row, (name, groups) in zip(axes, shown.items(), strict=True):
    for ax, texture, group in zip(row, _TEXTURES, groups, strict=True):
      squares = group[:_SHOWN].reshape(-1, _PATCH_SIZE, _PATCH_SIZE, 1)
      grid = image_io.make_grid(
        np.clip(squares, -1, 1), num_columns=_SHOWN // 3, zoom=2
      )
      figures.show_image(ax, grid, f'{texture}: {name}')
  return figure
