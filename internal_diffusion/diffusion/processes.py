"""Noise processes x_t = alpha(t) x0 + sigma(t) eps, and the unit scale.

The library works in one coordinate, the unit scale x = x0 + sigma eps (Karras
et al. 2022). Other processes are converted at their border,

  x_unit = x_t / alpha(t),   sigma_unit = sigma(t) / alpha(t)   (noise level).

A process is defined by three functions: alpha(t), sigma(t) and the time of a
unit-scale noise level.
"""

import dataclasses
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from internal_diffusion import arrays

Array = jax.Array


@dataclasses.dataclass(frozen=True)
class NoiseProcess:
  """A Gaussian noise process on times [0, max_time].

  Attributes:
    alpha: Signal scale as a function of time.
    sigma: Noise scale as a function of time, in the process's own coordinate.
    time: Time as a function of the unit-scale noise level sigma/alpha.
    max_time: Last time, with the largest noise level, which is finite.
  """

  alpha: Callable[[Array], Array]
  sigma: Callable[[Array], Array]
  time: Callable[[Array], Array]
  max_time: float


def noise_level(process: NoiseProcess, time: Array) -> Array:
  """Unit-scale noise level sigma(t) / alpha(t).

  Example:
    >>> float(noise_level(flow_process(), 0.5))
    1.0
  """
  time = jnp.asarray(time, jnp.float32)
  return process.sigma(time) / process.alpha(time)


def to_unit_scale(process: NoiseProcess, x: Array, time: Array) -> Array:
  """Converts x_t [B, ...] at times scalar or [B] to the unit scale."""
  return x / arrays.match_rank(process.alpha(time), x)


def from_unit_scale(process: NoiseProcess, x: Array, time: Array) -> Array:
  """Converts unit-scale samples to x_t; inverts `to_unit_scale`."""
  return x * arrays.match_rank(process.alpha(time), x)


def add_noise(
  key: Array, process: NoiseProcess, x0: Array, time: Array
) -> Array:
  """Draws x_t of clean samples x0 [B, ...] at times scalar or [B]."""
  eps = arrays.normal(key, x0.shape)
  alpha = arrays.match_rank(process.alpha(time), x0)
  sigma = arrays.match_rank(process.sigma(time), x0)
  return alpha * x0 + sigma * eps


def edm_process(*, sigma_max: float = 80.0) -> NoiseProcess:
  """EDM (Karras et al. 2022): alpha = 1, sigma = t, the unit scale itself."""
  return NoiseProcess(
    alpha=jnp.ones_like,
    sigma=lambda time: time,
    time=lambda level: level,
    max_time=sigma_max,
  )


def ve_process(
  *, sigma_min: float = 0.002, sigma_max: float = 80.0
) -> NoiseProcess:
  """Variance exploding (Song et al. 2021, appendix C).

  alpha = 1, sigma = sigma_min (sigma_max / sigma_min)^t, t in [0, 1].
  """
  arrays.check_in_range('sigma_min', sigma_min, 0, sigma_max, open_low=True)
  log_ratio = math.log(sigma_max / sigma_min)
  return NoiseProcess(
    alpha=jnp.ones_like,
    sigma=lambda time: sigma_min * jnp.exp(log_ratio * time),
    time=lambda level: jnp.log(level / sigma_min) / log_ratio,
    max_time=1.0,
  )


def vp_linear_process(
  *, beta_min: float = 0.1, beta_max: float = 20.0
) -> NoiseProcess:
  """Variance preserving with a linear beta (Ho et al. 2020; Song et al. 2021).

  alpha = exp(-B/2), sigma^2 = 1 - alpha^2, with the integral
  B(t) = beta_min t + (beta_max - beta_min) t^2 / 2, t in [0, 1].
  """
  arrays.check_in_range('beta_min', beta_min, 0, beta_max, open_low=True)
  slope = beta_max - beta_min

  def integral(time: Array) -> Array:
    return beta_min * time + 0.5 * slope * time**2

  def time(level: Array) -> Array:
    # From sigma/alpha = level follows B = log(1 + level^2). This form of the
    # positive root has no cancellation at small levels.
    b = jnp.log1p(level**2)
    return 2 * b / (beta_min + jnp.sqrt(beta_min**2 + 2 * slope * b))

  return NoiseProcess(
    alpha=lambda t: jnp.exp(-0.5 * integral(t)),
    sigma=lambda t: jnp.sqrt(-jnp.expm1(-integral(t))),
    time=time,
    max_time=1.0,
  )


def sub_vp_process(
  *, beta_min: float = 0.1, beta_max: float = 20.0
) -> NoiseProcess:
  """Sub-variance preserving (Song et al. 2021, eq. 29), with a linear beta.

  alpha = exp(-B/2), sigma = 1 - exp(-B), below that of `vp_linear_process` at
  every time, with its integral B(t).
  """
  vp = vp_linear_process(beta_min=beta_min, beta_max=beta_max)

  def sigma(time: Array) -> Array:
    return vp.sigma(time) ** 2

  def time(level: Array) -> Array:
    # From sigma/alpha = 2 sinh(B/2) = level follows VP's level^2 = exp(B) - 1.
    half = jnp.arcsinh(level / 2)
    return vp.time(jnp.sqrt(jnp.expm1(2 * half)))

  return dataclasses.replace(vp, sigma=sigma, time=time)


def vp_cosine_process(
  *, offset: float = 0.008, max_time: float = 0.995
) -> NoiseProcess:
  """Variance preserving with a cosine signal (Nichol & Dhariwal 2021, eq. 17).

  alpha = cos(u) / cos(u_0) with u = (t + offset) / (1 + offset) pi/2 and u_0
  the value of u at t = 0; sigma^2 = 1 - alpha^2. Since alpha is 0 at t = 1, the
  process ends at `max_time`.
  """
  arrays.check_in_range(
    'max_time', max_time, 0, 1, open_low=True, open_high=True
  )
  rate = math.pi / 2 / (1 + offset)
  start = offset * rate

  def sigma(time: Array) -> Array:
    # 1 - alpha^2 = (cos^2 u_0 - cos^2 u) / cos^2 u_0, where
    # cos^2 a - cos^2 b = sin(b - a) sin(b + a) avoids cancellation.
    u = start + rate * time
    return jnp.sqrt(jnp.sin(u - start) * jnp.sin(u + start)) / math.cos(start)

  def time(level: Array) -> Array:
    # cos(u) = cos(u_0) / sqrt(1 + level^2), as an arctangent for precision.
    cosine = math.cos(start)
    sine = jnp.sqrt(level**2 + math.sin(start) ** 2)
    return (jnp.arctan2(sine, cosine) - start) / rate

  return NoiseProcess(
    alpha=lambda t: jnp.cos(start + rate * t) / math.cos(start),
    sigma=sigma,
    time=time,
    max_time=max_time,
  )


def flow_process(*, max_time: float = 0.99) -> NoiseProcess:
  """Linear flow (Lipman et al. 2023): alpha = 1 - t, sigma = t.

  Since alpha is 0 at t = 1, the process ends at `max_time`.
  """
  arrays.check_in_range(
    'max_time', max_time, 0, 1, open_low=True, open_high=True
  )
  return NoiseProcess(
    alpha=lambda time: 1 - time,
    sigma=lambda time: time,
    time=lambda level: level / (1 + level),
    max_time=max_time,
  )
