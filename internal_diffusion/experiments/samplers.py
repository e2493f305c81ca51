"""Every sampler on one mixture of Gaussians whose denoiser is exact.

What a sampler gets wrong is then its own. All draw from three components in the
plane; their moments, their weights and their evaluations of the denoiser are in
one table, and the errors over the number of evaluations in one picture.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from internal_diffusion import figures
from internal_diffusion.denoisers.gaussian_mixture import (
  GaussianMixtureDenoiser,
)
from internal_diffusion.diffusion import processes, schedules
from internal_diffusion.experiments import mixtures
from internal_diffusion.experiments.result import Measure, Result
from internal_diffusion.experiments.training import scaled
from internal_diffusion.sampling import (
  Sampler,
  langevin,
  samplers,
  sde,
)

_NUM_SAMPLES = 50_000
_SIGMA_MIN, _SIGMA_MAX = 0.01, 20.0
_VP = processes.vp_linear_process()
_SUB_VP = processes.sub_vp_process()
_VE = processes.ve_process(sigma_min=_SIGMA_MIN, sigma_max=_SIGMA_MAX)
_HALVINGS = (4, 2, 1)  # Fractions of the usual number of steps in the curve.
_SHOWN = 3000  # Samples of a scatter plot.


class Case(NamedTuple):
  """A sampler at its usual number of steps.

  Attributes:
    sampler: The sampler, its options bound.
    path: `(num_steps) -> noise levels`.
    num_steps: Usual number of steps T.
    per_step: Number of evaluations in a step.
    more: Number of further evaluations in the last step; -1 if it has fewer.
  """

  sampler: Sampler
  path: Callable[[int], jax.Array]
  num_steps: int
  per_step: int = 1
  more: int = 0


def cases() -> dict[str, Case]:
  """All samplers by name."""
  karras = functools.partial(
    schedules.karras_sigmas, sigma_min=_SIGMA_MIN, sigma_max=_SIGMA_MAX
  )
  ladder = functools.partial(
    schedules.exponential_sigmas, sigma_min=_SIGMA_MIN, sigma_max=_SIGMA_MAX
  )
  of_vp, of_sub_vp, of_ve = (
    functools.partial(schedules.process_sigmas, process=process)
    for process in (_VP, _SUB_VP, _VE)
  )
  bind = functools.partial
  return {
    'Euler, DDIM': Case(samplers.sample_euler, karras, 160),
    'Heun': Case(samplers.sample_heun, karras, 24, 2, -1),
    'Heun with churn': Case(
      bind(samplers.sample_heun, s_churn=10.0), karras, 40, 2, -1
    ),
    'DDPM, ancestral': Case(samplers.sample_ddpm, karras, 250),
    'reverse SDE, VP': Case(
      bind(sde.sample_reverse_sde, process=_VP), of_vp, 500
    ),
    'reverse SDE, sub-VP': Case(
      bind(sde.sample_reverse_sde, process=_SUB_VP), of_sub_vp, 500
    ),
    'reverse SDE, VE': Case(
      bind(sde.sample_reverse_sde, process=_VE), of_ve, 500
    ),
    'reverse diffusion, VP': Case(
      bind(sde.sample_reverse_diffusion, process=_VP), of_vp, 500
    ),
    'annealed Langevin': Case(
      bind(langevin.sample_langevin, num_corrections=60, step_size=0.2),
      ladder,
      40,
      60,
      1,
    ),
    'predictor-corrector': Case(
      bind(langevin.sample_predictor_corrector, snr=0.16), karras, 100, 2, -1
    ),
  }


@functools.partial(jax.jit, static_argnames=('sampler', 'num'))
def _draw(
  key: jax.Array,
  mixture: GaussianMixtureDenoiser,
  sigmas: jax.Array,
  sampler: Sampler,
  num: int,
) -> jax.Array:
  noise_key, sample_key = jax.random.split(key)
  noise = jax.random.normal(noise_key, (num, mixture.means.shape[-1]))
  return sampler(sample_key, mixture, sigmas[0] * noise, sigmas)


def run(seed: int, *, effort: float = 1.0, progress: bool = False) -> Result:
  """Draws with every sampler, at several numbers of steps."""
  del progress
  mixture, key = mixtures.three_modes(), jax.random.key(seed)
  num = scaled(_NUM_SAMPLES, effort, at_least=256)
  exact = mixtures.draw(jax.random.fold_in(key, 1), mixture, num)
  drawn: dict[str, np.ndarray] = {'exact draws': exact}
  exact_fit = mixtures.fit_of(mixture, exact)
  curves, measures = {}, _measures('exact draws', exact_fit)
  for name, case in cases().items():
    points = []
    for divisor in _HALVINGS:
      sigmas = case.path(max(2, case.num_steps // divisor))
      found = np.asarray(_draw(key, mixture, sigmas, case.sampler, num))
      cost = (len(sigmas) - 1) * case.per_step + case.more
      fit = mixtures.fit_of(mixture, found)
      points.append((cost, fit.moments, fit.weights))
    curves[name] = np.array(points)
    drawn[name] = found
    measures |= _measures(name, fit)
    measures[f'{name}: evaluations'] = Measure(float(cost))
  return Result(
    measures=measures,
    samples={
      **{f'drawn: {name}': values for name, values in drawn.items()},
      **{f'curve: {name}': values for name, values in curves.items()},
    },
    pictures={
      'samples': (
        functools.partial(_scatter, drawn),
        'Draws of every sampler from one mixture of Gaussians, with the exact'
        ' denoiser.',
      ),
      'cost': (
        functools.partial(_cost, curves, exact_fit),
        'Error of the moments over the number of evaluations of the denoiser;'
        ' dotted: that of exact draws.',
      ),
    },
  )


def _measures(name: str, fit: mixtures.Fit) -> dict[str, Measure]:
  return {
    f'{name}: mean and covariance, relative error': Measure(
      fit.moments, at_most=0.02
    ),
    f'{name}: weights of the components, total variation': Measure(
      fit.weights, at_most=0.02
    ),
  }


@figures.own_style
def _scatter(drawn: dict[str, np.ndarray]) -> figures.Figure:
  figure = figures.new_figure(13, 6, title='One mixture, every sampler')
  axes = np.ravel(figure.subplots(2, -(-len(drawn) // 2)))
  for ax, (name, values) in zip(axes, drawn.items(), strict=False):
    ax.plot(*values[:_SHOWN].T, '.', markersize=1.5, alpha=0.4)
    ax.set(title=name, xlim=(-2.2, 2.2), ylim=(-1.8, 2.4), aspect='equal')
    ax.set(xticks=[], yticks=[])
  for ax in axes[len(drawn) :]:
    ax.set_axis_off()
  return figure


@figures.own_style
def _cost(curves: dict[str, np.ndarray], exact: mixtures.Fit) -> figures.Figure:
  figure = figures.new_figure(8, 5, title='Cost and error of the samplers')
  ax = figure.subplots()
  for index, (name, points) in enumerate(curves.items()):
    marker = 'os^vD'[index // 2]
    ax.loglog(points[:, 0], points[:, 1], marker=marker, label=name)
  ax.axhline(exact.moments, color='0.4', linestyle=':')
  ax.set(xlabel='evaluations of the denoiser', ylabel='error of the moments')
  ax.legend(loc='upper left', bbox_to_anchor=(1.02, 1))
  return figure
