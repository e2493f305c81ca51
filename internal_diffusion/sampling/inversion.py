"""Encoding by the probability flow, which is invertible, and interpolation.

The probability-flow equation dx/dsigma = (x - D(x; sigma)) / sigma has one
solution through each point (Song et al. 2021, score-based SDE, sec. 4.3). Run
upward it takes a clean sample to a noise of its own, its encoding; run down
again it returns the sample. Encodings are nearly normal with the standard
deviation sigmas[0], so they are interpolated along a great circle, on which all
points have a normal sample's length (Song et al. 2021, DDIM, sec. 5.3).
"""

import jax
import jax.numpy as jnp

from internal_diffusion import arrays
from internal_diffusion.sampling import loop, steps
from internal_diffusion.sampling.path import check_path
from internal_diffusion.types import BoundDenoiseFn, Condition, Denoiser

Array = jax.Array

_SMALLEST_SINE = 1e-4  # Below it the great circle is a line, up to rounding.


def encode(
  denoiser: Denoiser | BoundDenoiseFn,
  x0: Array,
  sigmas: Array,
  *,
  cond: Condition | None = None,
) -> Array:
  """Encodes clean samples, by Heun's method: 2 (T - 1) evaluations.

  Args:
    denoiser: `(x, sigma) -> denoised`, or `(x, sigma, cond) -> denoised`.
    x0: Clean samples, [B, ...]. They count as samples at the lowest noise level
      above 0, without noise.
    sigmas: Path of a sampler, [T+1], decreasing and ending in 0.
    cond: Condition of the denoiser; None calls it without one.

  Returns:
    Encodings: samples at noise level sigmas[0], [B, ...].

  Raises:
    ValueError: If the path does not fit; see `path.check_path`.
  """
  sigmas = check_path(sigmas, may_rise=False)
  return _integrate(denoiser, x0, sigmas[:-1][::-1], cond)


def decode(
  denoiser: Denoiser | BoundDenoiseFn,
  x: Array,
  sigmas: Array,
  *,
  cond: Condition | None = None,
) -> Array:
  """The clean samples of encodings x [B, ...]; inverts `encode`.

  The arguments are those of `encode`. This is `sample_heun` without its last
  step, the clean estimate, which has no inverse.
  """
  sigmas = check_path(sigmas, may_rise=False)
  return _integrate(denoiser, x, sigmas[:-1], cond)


def spherical_interpolation(
  first: Array, second: Array, fraction: Array | float
) -> Array:
  """Points on the great circle from one encoding to another.

  Args:
    first: Encodings, [B, ...].
    second: Encodings, [B, ...].
    fraction: Fraction of the way, scalar, [B], or one of each value or pixel,
      [B, ...]; 0 is `first`, 1 is `second`.

  Returns:
    sin((1 - f) a) / sin(a) first + sin(f a) / sin(a) second, [B, ...], where a
    is the angle between the two; the line between parallel ones.

  Example:
    >>> first, second = jnp.eye(2)[:1], jnp.eye(2)[1:]
    >>> spherical_interpolation(first, second, 0.5).round(3).tolist()
    [[0.7070000171661377, 0.7070000171661377]]
  """
  fraction = jnp.asarray(fraction)
  if fraction.ndim < 2:
    fraction = jnp.broadcast_to(fraction, first.shape[:1])
  flat = [values.reshape(len(values), -1) for values in (first, second)]
  units = [v / jnp.linalg.norm(v, axis=-1, keepdims=True) for v in flat]
  # More precise than the inner product's arccosine for small angles.
  angle = 2 * jnp.arctan2(
    jnp.linalg.norm(units[0] - units[1], axis=-1),
    jnp.linalg.norm(units[0] + units[1], axis=-1),
  )
  angle, fraction = (arrays.match_rank(v, first) for v in (angle, fraction))
  sine = jnp.sin(angle)
  is_line = sine < _SMALLEST_SINE
  safe = jnp.where(is_line, 1.0, sine)
  from_first, from_second = (
    jnp.where(is_line, part, jnp.sin(part * angle) / safe)
    for part in (1 - fraction, fraction)
  )
  return from_first * first + from_second * second


def _integrate(
  denoiser: Denoiser | BoundDenoiseFn,
  x: Array,
  sigmas: Array,
  cond: Condition | None,
) -> Array:
  key = jax.random.key(0)  # Unused: the steps are deterministic.
  return loop.scan_sigmas(key, steps.heun_step, denoiser, x, sigmas, cond=cond)
