"""A score model of a mixture: a ladder of levels and Langevin dynamics.

The first way to diffusion models (Song & Ermon 2019): a network learns the
score at the levels of a geometric ladder by denoising score matching, from
draws of a mixture of Gaussians, and annealed Langevin dynamics samples it. The
exact score is that of the mixture with noise.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion import figures
from internal_diffusion.denoisers.gaussian_mixture import (
  GaussianMixtureDenoiser,
)
from internal_diffusion.denoisers.learned import LearnedDenoiser
from internal_diffusion.diffusion import schedules
from internal_diffusion.experiments import mixtures, points
from internal_diffusion.experiments.result import Measure, Result
from internal_diffusion.experiments.training import scaled
from internal_diffusion.options import replace
from internal_diffusion.sampling import make_sample_fn, sample_langevin
from internal_diffusion.training.denoising import fit_denoiser
from internal_diffusion.training.examples import point_examples
from internal_diffusion.training.options import NoiseDraw

_NUM_LEVELS = 30
_SIGMA_MIN, _SIGMA_MAX = 0.02, 15.0
_NUM_STEPS = 3000
_NUM_POINTS = 50_000
_NUM_SAMPLES = 8000
_SHOWN_LEVELS = (0.02, 0.3, 1.5)


def run(seed: int, *, effort: float = 1.0, progress: bool = False) -> Result:
  """Learns the score, compares it with the exact one, and samples."""
  mixture, key = mixtures.three_modes(), jax.random.key(seed)
  data = mixtures.draw(jax.random.fold_in(key, 0), mixture, _NUM_POINTS)
  options = replace(
    points.point_options(
      seed, sigma_aug=0.0, num_steps=scaled(_NUM_STEPS, effort)
    ),
    noise={
      'draw': NoiseDraw.LADDER,
      'sigma_min': _SIGMA_MIN,
      'sigma_max': _SIGMA_MAX,
      'num_levels': _NUM_LEVELS,
    },
    optimizer={'learning_rate': 5e-3},
  )
  examples = point_examples(data)
  model = fit_denoiser(examples, options, progress=progress).model
  sigmas = schedules.exponential_sigmas(
    _NUM_LEVELS, sigma_min=_SIGMA_MIN, sigma_max=_SIGMA_MAX
  )
  errors = score_errors(jax.random.fold_in(key, 1), model, mixture, sigmas[:-1])
  sample_fn = make_sample_fn(
    sigmas,
    sample_shape=(2,),
    sampler=sample_langevin,
    chunk_size=4096,
    num_corrections=40,
    step_size=0.2,
  )
  num = scaled(_NUM_SAMPLES, effort, at_least=256)
  drawn = sample_fn(model, jax.random.fold_in(key, 2), num_samples=num)
  fit = mixtures.fit_of(mixture, drawn)
  return Result(
    measures={
      'score: relative error, mean over the levels': Measure(
        float(np.mean(errors)), at_most=0.1
      ),
      'Langevin: mean and covariance, relative error': Measure(
        fit.moments, at_most=0.05
      ),
      'Langevin: weights of the components, total variation': Measure(
        fit.weights, at_most=0.03
      ),
    },
    samples={
      'drawn': drawn,
      'sigmas': np.asarray(sigmas),
      'score_errors': errors,
    },
    pictures={
      'score': (
        functools.partial(_picture, model, mixture, drawn),
        'The learned score at three noise levels over the exact density, and'
        ' draws by annealed Langevin dynamics.',
      )
    },
  )


def score_errors(
  key: jax.Array,
  model: LearnedDenoiser,
  mixture: GaussianMixtureDenoiser,
  sigmas: jax.Array,
) -> np.ndarray:
  """Relative root mean square error of the score at each level, [T]."""
  errors = []
  for index, sigma in enumerate(sigmas):
    draw_key, noise_key = jax.random.split(jax.random.fold_in(key, index))
    x0 = mixture.sample(draw_key, 2048)
    x = x0 + sigma * jax.random.normal(noise_key, x0.shape)
    exact = mixture(x, sigma) - x
    found = _denoise(model, x, sigma) - x
    error = jnp.linalg.norm(found - exact) / jnp.linalg.norm(exact)
    errors.append(float(error))
  return np.array(errors)


_denoise = jax.jit(lambda model, x, sigma: model(x, sigma))


@figures.own_style
def _picture(
  model: LearnedDenoiser,
  mixture: GaussianMixtureDenoiser,
  drawn: np.ndarray,
) -> figures.Figure:
  figure = figures.new_figure(13, 3.6, title='Score of a mixture of Gaussians')
  axes = figure.subplots(1, 1 + len(_SHOWN_LEVELS))
  axis = np.linspace(-2.4, 2.4, 81, dtype=np.float32)
  grid = np.stack(np.meshgrid(axis, axis), axis=-1)
  coarse = grid[2::6, 2::6]
  for ax, sigma in zip(axes, _SHOWN_LEVELS[::-1], strict=False):
    level = jnp.float32(sigma)
    density = mixture.log_density(jnp.asarray(grid.reshape(-1, 2)), level)
    ax.pcolormesh(axis, axis, np.exp(density).reshape(81, 81), cmap='Greys')
    x = jnp.asarray(coarse.reshape(-1, 2))
    step = np.asarray(_denoise(model, x, level) - x)
    ax.quiver(*coarse.reshape(-1, 2).T, *step.T, color='C0', angles='xy')
    ax.set(title=f'sigma {sigma:g}, sigma^2 score', aspect='equal')
  axes[-1].plot(*drawn[:4000].T, '.', markersize=1.5, alpha=0.4)
  axes[-1].set(title='Langevin dynamics', xlim=(-2.4, 2.4), ylim=(-2.4, 2.4))
  axes[-1].set_aspect('equal')
  return figure
