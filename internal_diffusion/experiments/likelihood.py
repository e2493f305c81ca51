"""Likelihood by the probability flow, against exact densities.

Mixtures of Gaussians in 2, 27 and 147 dimensions have exact densities; the
probability flow of their exact denoisers is integrated with the exact trace of
its derivative, and with Hutchinson's estimate.

Then held-out patches of a photograph: bits per value of one Gaussian, of a
mixture of Gaussians, and of a network, whose density only its flow gives. The
picture is cut into bands of 16 columns, in turn fitted and held out, so that
they share no pixel. Values of 8 bits have uniform noise of one grey level.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats
import skimage.data

from internal_diffusion import figures
from internal_diffusion.data import image_io, patches
from internal_diffusion.denoisers.gaussian_mixture import (
  GaussianMixtureDenoiser,
)
from internal_diffusion.experiments import points
from internal_diffusion.experiments.result import Measure, Result
from internal_diffusion.experiments.training import scaled
from internal_diffusion.options import replace
from internal_diffusion.sampling import likelihood
from internal_diffusion.training.denoising import fit_denoiser
from internal_diffusion.training.examples import point_examples
from internal_diffusion.training.gaussian_mixture import fit_gaussian_mixture
from internal_diffusion.types import Denoiser

_DIMENSIONS = (2, 27, 147)
_NUM_POINTS = 200
_NUM_PROBES = 8
_LEVEL = 0.9  # Of the intervals.
_SIGMAS = np.geomspace(0.05, 60, 160)
_GREY_LEVEL = 2 / 255
_NOISE_STD = _GREY_LEVEL / np.sqrt(12)  # Of uniform noise of one grey level.
_PATCH_SIZE, _BAND = 5, 16
_NUM_COMPONENTS = 60
_NUM_HELD_OUT = 384
_NUM_STEPS = 2500
# Steps of the network's flow: the figure, and how far it has converged.
_FLOW_STEPS = {'network': 400, 'network, half the steps': 200}


class Comparison(NamedTuple):
  """Densities of points of a mixture, in nats, [N] each."""

  exact: np.ndarray
  traced: np.ndarray
  estimated: np.ndarray
  std_error: np.ndarray


def run(seed: int, *, effort: float = 1.0, progress: bool = False) -> Result:
  """Compares densities with exact ones, then models by their bits."""
  key = jax.random.key(seed)
  num = scaled(_NUM_POINTS, effort, at_least=16)
  compared = {
    dim: _compare(jax.random.fold_in(key, dim), dim, num) for dim in _DIMENSIONS
  }
  bits = _photograph(seed, effort, progress)
  baseline = min(bits['one Gaussian'], bits['mixture of Gaussians'])
  measures: dict[str, Measure] = {}
  for dim, found in compared.items():
    error = abs(found.traced - found.exact).max() / dim
    measures[f'{dim} dimensions: largest error, nats per dimension'] = Measure(
      float(error), at_most=0.01
    )
    measures[f'{dim} dimensions: intervals of 90% that hold'] = Measure(
      _coverage(found), at_least=0.85
    )
  for name, value in bits.items():
    at_most = baseline if name == 'network' else None
    measures[f'held-out patches: bits per value of {name}'] = Measure(
      value, at_most=at_most
    )
  return Result(
    measures=measures,
    samples={
      f'{name}_{dim}': values
      for dim, found in compared.items()
      for name, values in found._asdict().items()
    },
    pictures={
      'likelihood': (
        functools.partial(_picture, compared),
        'Log densities by the probability flow over the exact ones, with the'
        " exact trace and with Hutchinson's estimate of it.",
      )
    },
  )


def random_mixture(seed: int, dim: int) -> GaussianMixtureDenoiser:
  """Three Gaussians of random means, directions and variances."""
  rng = np.random.default_rng(seed)
  parts = (
    np.log([0.5, 0.3, 0.2]),
    rng.normal(size=(3, dim)) / np.sqrt(dim),
    np.linalg.qr(rng.normal(size=(3, dim, dim)))[0],
    # Variances over three decades, as patches have.
    0.3 * 10 ** rng.uniform(-3, 0, size=(3, dim)),
  )
  return GaussianMixtureDenoiser(
    *(jnp.asarray(part, jnp.float32) for part in parts)
  )


@functools.partial(jax.jit, static_argnames='estimate')
def _density(
  key: jax.Array, model: Denoiser, x: jax.Array, *, estimate: bool
) -> jax.Array | likelihood.DensityEstimate:
  if not estimate:
    return likelihood.log_density(model, x, _SIGMAS)
  return likelihood.estimate_log_density(
    key, model, x, _SIGMAS, num_probes=_NUM_PROBES
  )


def _compare(key: jax.Array, dim: int, num: int) -> Comparison:
  draw_key, probe_key = jax.random.split(key)
  mixture = random_mixture(dim, dim)
  x = mixture.sample(draw_key, num)
  x += _SIGMAS[0] * jax.random.normal(probe_key, x.shape)
  estimated = _density(probe_key, mixture, x, estimate=True)
  assert isinstance(estimated, likelihood.DensityEstimate)
  parts = (
    mixture.log_density(x, jnp.float32(_SIGMAS[0])),
    _density(probe_key, mixture, x, estimate=False),
    *estimated,
  )
  return Comparison(*map(np.asarray, parts))


def _coverage(found: Comparison) -> float:
  """Fraction of Student's intervals that hold the traced density."""
  half = scipy.stats.t.ppf((1 + _LEVEL) / 2, _NUM_PROBES - 1)
  error = abs(found.estimated - found.traced)
  # In two dimensions the probes may agree up to rounding.
  return float((error <= half * found.std_error + 1e-3).mean())


def band_patches(
  image: np.ndarray, *, patch_size: int
) -> tuple[np.ndarray, np.ndarray]:
  """Patches of two halves of an image that share no pixel, [N, D] each."""
  dense = np.asarray(
    patches.extract_patches(jnp.asarray(image), patch_size=patch_size)
  )
  left = np.arange(dense.shape[1])
  band = left // _BAND
  inside = (left + patch_size - 1) // _BAND == band
  fitted, held_out = (
    dense[:, inside & (band % 2 == part)].reshape(-1, dense.shape[-1])
    for part in (0, 1)
  )
  return fitted, held_out


def _photograph(seed: int, effort: float, progress: bool) -> dict[str, float]:
  """Bits per value of held-out patches of coffee, by model."""
  photograph = skimage.data.coffee().astype(np.float32) / 127.5 - 1
  image = image_io.bound_side(photograph, max_side=250)
  rounded = np.round((image + 1) / _GREY_LEVEL) * _GREY_LEVEL - 1
  rng = np.random.default_rng(seed)
  noisy = rounded + _GREY_LEVEL * rng.uniform(-0.5, 0.5, image.shape)
  clean, _ = band_patches(rounded.astype(np.float32), patch_size=_PATCH_SIZE)
  fitted, held_out = band_patches(
    noisy.astype(np.float32), patch_size=_PATCH_SIZE
  )
  chosen = rng.permutation(len(held_out))[
    : scaled(_NUM_HELD_OUT, effort, at_least=32)
  ]
  x = jnp.asarray(held_out[chosen])
  found = {}
  for name, num_components in (
    ('one Gaussian', 1),
    ('mixture of Gaussians', _NUM_COMPONENTS),
  ):
    mixture = fit_gaussian_mixture(
      jax.random.key(seed),
      jnp.asarray(fitted),
      noise_std=_NOISE_STD,
      num_components=num_components,
      max_dimensions=fitted.shape[1],
    )
    found[name] = _mean_bits(mixture.log_density(x, jnp.float32(_NOISE_STD)), x)
  options = replace(
    points.point_options(
      seed, sigma_aug=0.0, num_steps=scaled(_NUM_STEPS, effort)
    ),
    network={'width': 256},
    batch_size=512,
    num_references=512,
    noise={'sigma_min': 0.002, 'sigma_max': 40.0},
    optimizer={'learning_rate': 3e-3},
  )
  examples = point_examples(clean)
  model = fit_denoiser(examples, options, progress=progress).model
  for name, num_steps in _FLOW_STEPS.items():
    log_density = _estimate(jax.random.key(seed), model, x, num_steps)
    found[name] = _mean_bits(log_density, x)
  return found


@functools.partial(jax.jit, static_argnames='num_steps')
def _estimate(
  key: jax.Array, model: Denoiser, x: jax.Array, num_steps: int
) -> jax.Array:
  sigmas = np.geomspace(_NOISE_STD, 40, num_steps + 1)
  # The mean over the patches needs few probes.
  return likelihood.estimate_log_density(
    key, model, x, sigmas, num_probes=2
  ).value


def _mean_bits(log_density: jax.Array, x: jax.Array) -> float:
  bits = likelihood.bits_per_dimension(log_density, dim=x.shape[-1])
  return float(np.mean(np.asarray(bits)))


@figures.own_style
def _picture(compared: dict[int, Comparison]) -> figures.Figure:
  figure = figures.new_figure(12, 4, title='Log density by probability flow')
  axes = figure.subplots(1, len(compared))
  for ax, (dim, found) in zip(axes, compared.items(), strict=True):
    ax.errorbar(
      found.exact,
      found.estimated - found.exact,
      found.std_error,
      fmt='.',
      alpha=0.4,
      label="Hutchinson's estimate",
    )
    ax.plot(found.exact, found.traced - found.exact, '.', label='exact trace')
    ax.axhline(0, color='0.4', linestyle=':')
    ax.set(title=f'{dim} dimensions', xlabel='exact log density, nats')
  axes[0].set_ylabel('error, nats')
  axes[0].legend()
  return figure
