"""Langevin dynamics at the noise levels of a path.

At a fixed noise level, the Langevin step

  x <- x + a/2 score(x; sigma) + sqrt(a) z,   z ~ N(0, I),

draws from the density of x0 + sigma eps, up to an error of the order of a.
Annealed Langevin dynamics (Song & Ermon 2019, algorithm 1) takes some steps at
each level. A predictor-corrector sampler (Song et al. 2021, algorithm 1) moves
between levels by any step of `steps` and corrects the result by Langevin steps.

The step size is a = step_size sigma^2. Song & Ermon write it as eps sigma_i^2 /
sigma_L^2, and it has a signal-to-noise form (Song et al. 2021, algorithms 4 and
5): a = 2 (2 snr^2 |z|^2 / |score|^2), with root mean square norms over the
batch as in the authors' code, so a sample depends on its batch a little.
"""

import functools
from typing import Unpack

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion import arrays
from internal_diffusion.sampling import loop, steps
from internal_diffusion.sampling.loop import ScanOptions
from internal_diffusion.sampling.path import sample_path
from internal_diffusion.types import BoundDenoiseFn, Denoiser

Array = jax.Array

_ancestral_step = functools.partial(steps.ddim_step, eta=1.0)


def langevin_steps(
  key: Array,
  x: Array,
  sigma: Array,
  denoise_fn: BoundDenoiseFn,
  *,
  num: int,
  step_size: float | None = None,
  snr: float | None = None,
) -> Array:
  """Takes `num` Langevin steps at noise level `sigma`, an evaluation each.

  Args:
    key: One key, or one key for each sample.
    x: Samples, [B, ...].
    sigma: Noise level, scalar above 0.
    denoise_fn: `(x, sigma) -> denoised`.
    num: Number of steps.
    step_size: Step size over sigma^2; give this or `snr`.
    snr: Ratio of the step's drift to its noise, about 0.1 to 0.2.
  """

  def step(index: Array, x: Array) -> Array:
    noise = arrays.normal(arrays.fold_in(key, index), x.shape)
    # sigma^2 times the score.
    drift = denoise_fn(x, sigma) - x
    if snr is None:
      size = jnp.float32(step_size)
    else:
      ratio = jnp.mean(noise**2) / jnp.mean((drift / sigma) ** 2)
      size = 4 * snr**2 * ratio
    return x + size / 2 * drift + jnp.sqrt(size) * sigma * noise

  return jax.lax.fori_loop(0, num, step, x)


def langevin_step_size(*, ratio: float, num: int) -> float:
  """The step size that keeps the variance of noise (Song & Ermon 2020, prop 3).

  With x0 = 0, `num` steps at a level sigma from noise of variance (ratio
  sigma)^2 give the variance v sigma^2, where each step is v <- (1 - a/2)^2 v +
  a. This is the a in (0, 2) whose v is closest to 1.

  Args:
    ratio: Ratio of two neighbouring noise levels, above 1.
    num: Number of Langevin steps at each level.

  Example:
    >>> round(langevin_step_size(ratio=2.0, num=10), 2)
    0.42
  """
  arrays.check_in_range('ratio', ratio, 1, float('inf'), open_low=True)
  arrays.check_positive_int('num', num)
  size = np.geomspace(1e-5, 1.99, 20_000)
  kept = (1 - size / 2) ** 2
  limit = size / (1 - kept)
  variance = kept**num * (ratio**2 - limit) + limit
  return float(size[np.argmin(abs(variance - 1))])


def sample_langevin(
  key: Array,
  denoiser: Denoiser | BoundDenoiseFn,
  x: Array,
  sigmas: Array,
  *,
  num_corrections: int = 10,
  step_size: float | None = None,
  snr: float | None = None,
  **options: Unpack[ScanOptions],
) -> Array:
  """Annealed Langevin dynamics: T num_corrections + 1 evaluations.

  The last step is the clean estimate, which removes the noise of the lowest
  level (Jolicoeur-Martineau et al. 2021).

  Args:
    key: See `samplers`, like all arguments but these:
    denoiser: Denoiser.
    x: Samples at sigmas[0], [B, ...].
    sigmas: Path of noise levels, [T+1]; neighbours should differ by a factor of
      at most about 2.
    num_corrections: Number of Langevin steps at each level.
    step_size: Step size over sigma^2; `langevin_step_size` computes one.
    snr: Signal-to-noise ratio; give this or `step_size`.
    **options: See `loop.ScanOptions`.

  Raises:
    ValueError: If not exactly one of `step_size` and `snr` is given, or an
      option is out of range.
  """
  correct = _corrector(num_corrections, step_size, snr)

  def step_fn(
    key: Array,
    x: Array,
    sigma: Array,
    sigma_next: Array,
    denoise_fn: BoundDenoiseFn,
  ) -> Array:
    x = correct(key, x, sigma, denoise_fn)
    return jax.lax.cond(
      sigma_next > 0, lambda x: x, lambda x: denoise_fn(x, sigma), x
    )

  return sample_path(key, step_fn, denoiser, x, sigmas, **options)


def sample_predictor_corrector(
  key: Array,
  denoiser: Denoiser | BoundDenoiseFn,
  x: Array,
  sigmas: Array,
  *,
  predictor: loop.StepFn = _ancestral_step,
  num_corrections: int = 1,
  step_size: float | None = None,
  snr: float | None = None,
  **options: Unpack[ScanOptions],
) -> Array:
  """Predictor-corrector sampling (Song et al. 2021, algorithm 1).

  The predictor's evaluations and `num_corrections` for each step but the last.

  Args:
    key: See `samplers`, like all arguments but these:
    denoiser: Denoiser.
    x: Samples at sigmas[0], [B, ...].
    sigmas: Path of noise levels, [T+1].
    predictor: Step to the next level: one of `steps`, by default the ancestral
      one, or `sde.reverse_diffusion_step` with its process bound.
    num_corrections: Number of Langevin steps after each predictor step.
    step_size: Step size over sigma^2.
    snr: Signal-to-noise ratio; give this or `step_size`.
    **options: See `loop.ScanOptions`.

  Raises:
    ValueError: As `sample_langevin`.
  """
  correct = _corrector(num_corrections, step_size, snr)

  def step_fn(
    key: Array,
    x: Array,
    sigma: Array,
    sigma_next: Array,
    denoise_fn: BoundDenoiseFn,
  ) -> Array:
    predict_key, correct_key = (arrays.fold_in(key, i) for i in range(2))
    x = predictor(predict_key, x, sigma, sigma_next, denoise_fn)
    return jax.lax.cond(
      sigma_next > 0,
      lambda x: correct(correct_key, x, sigma_next, denoise_fn),
      lambda x: x,
      x,
    )

  return sample_path(key, step_fn, denoiser, x, sigmas, **options)


def _corrector(
  num: int, step_size: float | None, snr: float | None
) -> functools.partial[Array]:
  arrays.check_positive_int('num_corrections', num)
  if (step_size is None) == (snr is None):
    raise ValueError(
      f'Give `step_size` or `snr`, one of them, got {step_size} and {snr}.'
    )
  if step_size is not None:
    # Above 4 the steps diverge where x0 is constant.
    arrays.check_in_range('step_size', step_size, 0, 4, open_low=True)
  if snr is not None:
    arrays.check_in_range('snr', snr, 0, 1, open_low=True)
  return functools.partial(
    langevin_steps, num=num, step_size=step_size, snr=snr
  )
