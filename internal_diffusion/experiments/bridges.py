"""Bridges from samples to samples, beside their exact answers.

Between two Gaussians, the Schroedinger bridge is known in closed form: its
sampler must draw the entropic plan's joint Gaussian. Between two small sets of
points, Markovian fitting with exact denoisers begins with random pairs; its
pairs must become those of Sinkhorn's plan.

A network learns the Schroedinger bridge between the patches of two textures
that nobody paired. Another learns a bridge between pairs: from a patch enlarged
by 2 to the sharp patch. With one step it is the regression's mean; with several
it draws sharp patches.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import skimage.data

from internal_diffusion import figures
from internal_diffusion.data import image_io, patches
from internal_diffusion.data.resampling import resample
from internal_diffusion.denoisers.bridge import (
  PairsBridge,
  gaussian_schroedinger_bridge,
)
from internal_diffusion.diffusion.bridges import entropic_plan
from internal_diffusion.evaluation import distances
from internal_diffusion.experiments import points
from internal_diffusion.experiments.frequencies import total_variation
from internal_diffusion.experiments.guidance import texture_patches
from internal_diffusion.experiments.result import Measure, Result
from internal_diffusion.experiments.training import scaled
from internal_diffusion.options import replace
from internal_diffusion.sampling import bridge_sigmas, transport
from internal_diffusion.training.bridges import (
  fit_bridge,
  fit_schroedinger_bridge,
)
from internal_diffusion.training.options import DenoiserOptions

_NUM_EXACT = 200_000
_NUM_EXACT_STEPS = 500
_NUM_FITTINGS = 10
_NUM_EACH = 1000  # Samples from each point of a small set.
_TEXTURE_SIGMA, _PAIR_SIGMA = 0.4, 0.1
_NUM_STEPS = 2000
_NUM_DRAWN = 1024
_PAIR_SIZE = 7
_PAIR_STEPS = (1, 3, 10)
_SHOWN = 24


def run(seed: int, *, effort: float = 1.0, progress: bool = False) -> Result:
  """Runs the four bridges."""
  key = jax.random.key(seed)
  num = scaled(_NUM_EXACT, effort, at_least=256)
  mean_error, covariance_error = gaussian_errors(key, num)
  fitted = fit_small_sets(key, scaled(_NUM_EACH, effort, at_least=50))
  textures = _textures(seed, effort, progress)
  pairs = _pairs(seed, effort, progress)
  measures = {
    'Gaussian to Gaussian: mean, relative error': Measure(
      mean_error, at_most=0.01
    ),
    'Gaussian to Gaussian: joint covariance, relative error': Measure(
      covariance_error, at_most=0.01
    ),
    'small sets, random pairs: total variation to the plan': Measure(fitted[0]),
    'small sets, after fitting: total variation to the plan': Measure(
      fitted[-1], at_most=0.05
    ),
    **textures['measures'],
    **pairs['measures'],
  }
  return Result(
    measures=measures,
    samples={
      'fitting': np.array(fitted),
      'transported': textures['transported'],
      **{f'pairs: {k}': v for k, v in pairs['drawn'].items()},
    },
    pictures={
      'fitting': (
        functools.partial(_fitting, fitted),
        'Distance of the pairs to the entropic plan, by rounds of fitting.',
      ),
      'textures': (
        functools.partial(_rows, textures['shown']),
        'Patches of brick, taken by the bridge to gravel; nobody paired them.',
      ),
      'pairs': (
        functools.partial(_rows, pairs['drawn']),
        'Patches enlarged by 2, the bridge in one step and in several, and the'
        ' sharp patches.',
      ),
    },
  )


def gaussian_errors(key: jax.Array, num: int) -> tuple[float, float]:
  """Relative errors of mean and joint covariance of the exact bridge."""
  first = (np.array([0.5, -1.0]), np.array([[1.0, 0.6], [0.6, 0.5]]))
  second = (np.array([-1.0, 2.0]), np.array([[0.3, -0.1], [-0.1, 0.8]]))
  model = gaussian_schroedinger_bridge(first, second, sigma_max=1.0)
  x1 = jnp.asarray(second[0])[None] + jax.random.normal(
    key, (num, 2)
  ) @ jnp.asarray(np.linalg.cholesky(second[1]).T, jnp.float32)
  sigmas = bridge_sigmas(_NUM_EXACT_STEPS, sigma_max=1.0)
  x0 = transport(jax.random.fold_in(key, 1), model, x1, None, sigmas=sigmas)
  both = np.concatenate([x0, x1], axis=1)

  def error(found: np.ndarray, exact: jax.Array) -> float:
    return float(np.linalg.norm(found - exact) / np.linalg.norm(exact))

  return (
    error(both.mean(axis=0), model.mean),
    error(np.cov(both.T), model.covariance),
  )


def fit_small_sets(key: jax.Array, num: int) -> list[float]:
  """Distances to the entropic plan before each round of Markovian fitting."""
  first, second = jax.random.normal(jax.random.fold_in(key, 2), (2, 6, 2))
  sigma_max = 0.8
  exact = np.asarray(entropic_plan(first, second, epsilon=sigma_max**2))
  sigmas = bridge_sigmas(60, sigma_max=sigma_max)
  plan = np.full(exact.shape, 1 / exact.size)
  found = [total_variation(plan, exact)]
  for index in range(_NUM_FITTINGS):
    log_plan = jnp.log(jnp.asarray(plan, jnp.float32) + 1e-9)
    model = PairsBridge(first, second, log_plan, sigma_max)
    # Alternately from either end, so that neither marginal drifts.
    swapped = index % 2 == 1
    model = model.swapped() if swapped else model
    start = jnp.repeat(jnp.arange(len(second)), num)
    step_key = jax.random.fold_in(key, 10 + index)
    x = transport(step_key, model, model.second[start], None, sigmas=sigmas)
    apart = jnp.sum((x[:, None] - model.first[None]) ** 2, axis=-1)
    end = np.asarray(jnp.argmin(apart, axis=-1))
    plan = np.zeros(exact.shape)
    rows, columns = (np.asarray(start), end) if swapped else (end, start)
    np.add.at(plan, (rows, columns), 1 / len(end))
    found.append(total_variation(plan, exact))
  return found


def _options(seed: int, num_steps: int) -> DenoiserOptions:
  return replace(
    points.point_options(seed, sigma_aug=0.0, num_steps=num_steps),
    network={'width': 192},
    batch_size=512,
  )


def _textures(seed: int, effort: float, progress: bool) -> dict[str, Any]:
  """The learned bridge from brick to gravel."""
  both = np.stack([fitted for fitted, _ in texture_patches().values()])
  brick, gravel = both
  sigmas = bridge_sigmas(20, sigma_max=_TEXTURE_SIGMA)
  transport_fn = functools.partial(transport, sigmas=sigmas)
  num_steps = scaled(_NUM_STEPS, effort, at_least=10)
  model = fit_schroedinger_bridge(
    gravel,
    brick,
    _options(seed, num_steps),
    sigma_max=_TEXTURE_SIGMA,
    transport_fn=transport_fn,
    num_rounds=5,
    progress=progress,
  ).model
  rng = np.random.default_rng(seed)
  num = scaled(_NUM_DRAWN, effort, at_least=64)
  start, real, other = (
    jnp.asarray(group[rng.permutation(len(group))[:num]])
    for group in (brick, gravel, gravel)
  )
  key = jax.random.key(seed)
  found = np.asarray(transport_fn(key, model, start, 0))

  def distance(values: Any) -> float:
    return float(distances.sliced_wasserstein(key, np.asarray(values), real))

  def cost(values: Any) -> float:
    return float(np.mean((np.asarray(values) - np.asarray(start)) ** 2))

  return {
    'measures': {
      'brick to gravel: distance to gravel over that of brick': Measure(
        distance(found) / distance(start)
      ),
      'gravel to gravel: the same': Measure(distance(other) / distance(start)),
      'brick to gravel: squared displacement over that of random pairs': (
        Measure(cost(found) / cost(real), at_most=1.0)
      ),
    },
    'transported': found,
    'shown': {'brick': np.asarray(start), 'taken to gravel': found},
  }


def pair_patches() -> tuple[np.ndarray, np.ndarray]:
  """Sharp patches and the same enlarged by 2, of halves, [2, N, D] each."""
  photograph = skimage.data.coffee().astype(np.float32) / 127.5 - 1
  image = image_io.bound_side(
    photograph.mean(axis=-1, keepdims=True), max_side=240
  )
  height, width = (side // 2 * 2 for side in image.shape[:2])
  image = image[:height, :width]
  small = resample(jnp.asarray(image), (height // 2, width // 2))
  large = np.asarray(resample(small, (height, width)))
  cut = width // 2
  halves = []
  for part in (slice(None, cut), slice(cut, None)):
    found = [
      np.asarray(
        patches.extract_patches(
          jnp.asarray(values[:, part]), patch_size=_PAIR_SIZE
        )
      )
      for values in (image, large)
    ]
    halves.append(np.stack([f.reshape(-1, f.shape[-1]) for f in found]))
  first, second = halves
  return first, second


def _all_symmetries(vectors: np.ndarray) -> np.ndarray:
  """Square grey patches [N, D], rotated and mirrored in all ways, [8 N, D]."""
  squares = vectors.reshape(-1, _PAIR_SIZE, _PAIR_SIZE)
  both = (squares, squares.swapaxes(1, 2))
  turned = [np.rot90(s, k, axes=(1, 2)) for s in both for k in range(4)]
  return np.concatenate(turned).reshape(-1, vectors.shape[-1])


def _pairs(seed: int, effort: float, progress: bool) -> dict[str, Any]:
  """The learned bridge from enlarged patches to sharp ones."""
  fitted, (held_sharp, held_large) = pair_patches()
  sharp, large = map(_all_symmetries, fitted)
  options = _options(seed, scaled(_NUM_STEPS, effort, at_least=10))
  model = fit_bridge(
    sharp, large, options, sigma_max=_PAIR_SIGMA, progress=progress
  ).model
  # The best linear regression, on the fitted half.
  design = np.concatenate([large, np.ones((len(large), 1))], axis=1)
  weights, *_ = np.linalg.lstsq(design, sharp, rcond=None)
  held = np.concatenate([held_large, np.ones((len(held_large), 1))], axis=1)
  rng = np.random.default_rng(seed)
  num = scaled(_NUM_DRAWN, effort, at_least=64)
  chosen = rng.permutation(len(held_sharp))[:num]
  truth, start = held_sharp[chosen], held_large[chosen]
  drawn = {'enlarged': start, 'linear regression': held[chosen] @ weights}
  for num_steps in _PAIR_STEPS:
    sigmas = bridge_sigmas(num_steps, sigma_max=_PAIR_SIGMA)
    found = transport(
      jax.random.key(seed), model, jnp.asarray(start), None, sigmas=sigmas
    )
    drawn[f'{num_steps} steps'] = np.asarray(found)
  drawn['sharp'] = truth

  def psnr(values: np.ndarray) -> float:
    return float(10 * np.log10(4 / np.mean((values - truth) ** 2)))

  def detail(values: np.ndarray) -> float:
    """Energy of what the enlarged patch lacks, over the truth's."""
    return float(np.sum((values - start) ** 2) / np.sum((truth - start) ** 2))

  measures = {
    f'pairs: {name}, decibels': Measure(psnr(values))
    for name, values in drawn.items()
    if name != 'sharp'
  }
  measures['pairs: one step over linear regression, decibels'] = Measure(
    psnr(drawn['1 steps']) - psnr(drawn['linear regression']), at_least=-0.3
  )
  for num_steps in _PAIR_STEPS:
    name = f'{num_steps} steps'
    measures[f'pairs: {name}, energy of the detail'] = Measure(
      detail(drawn[name])
    )
  return {'measures': measures, 'drawn': drawn}


@figures.own_style
def _fitting(fitted: list[float]) -> figures.Figure:
  figure = figures.new_figure(5.5, 3.5, title='Markovian fitting of small sets')
  ax = figure.subplots()
  ax.plot(fitted, 'o-')
  ax.axhline(0.05, color='0.4', linestyle=':')
  ax.set(xlabel='round', ylabel='total variation to the entropic plan')
  ax.set_ylim(0)
  return figure


def _rows(shown: dict[str, np.ndarray]) -> figures.Figure:
  return figures.named_patches(
    shown,
    title='Bridges between patches',
    num=_SHOWN,
    num_columns=_SHOWN,
    zoom=4,
  )
