"""Noise processes x_t = alpha(t) x0 + sigma(t) eps, and their unit scale.

The house has one coordinate: the unit scale x = x0 + sigma eps, in which the
signal is never shrunk (Karras et al. 2022). A process is converted at its
border,

  x_unit = x_t / alpha(t),   sigma_unit = sigma(t) / alpha(t)   (noise level),

so a process is three functions of one variable: alpha(t), sigma(t) and the time
of a unit-scale noise level. Everything else follows from these.
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
    alpha: Signal scale at a time.
    sigma: Noise scale at a time, in the process's own coordinate.
    time: Time at which the unit-scale noise level sigma/alpha has a value.
    max_time: Last time, where the noise level is largest and still finite.
  """

  alpha: Callable[[Array], Array]
  sigma: Callable[[Array], Array]
  time: Callable[[Array], Array]
  max_time: float


def noise_level(process: NoiseProcess, time: Array) -> Array:
  """Unit-scale noise level sigma(t) / alpha(t)."""
  time = jnp.asarray(time, jnp.float32)
  return process.sigma(time) / process.alpha(time)


def to_unit_scale(process: NoiseProcess, x: Array, time: Array) -> Array:
  """Process coordinate to unit scale: x / alpha(t). `time` is scalar or [B]."""
  return x / arrays.match_rank(process.alpha(time), x)


def from_unit_scale(process: NoiseProcess, x: Array, time: Array) -> Array:
  """Unit scale to process coordinate: alpha(t) x. `time` is scalar or [B]."""
  return x * arrays.match_rank(process.alpha(time), x)


def add_noise(
  key: Array, process: NoiseProcess, x0: Array, time: Array
) -> Array:
  """Draws x_t given x0 [B, ...], in the process's coordinate."""
  eps = arrays.normal(key, x0.shape)
  alpha = arrays.match_rank(process.alpha(time), x0)
  sigma = arrays.match_rank(process.sigma(time), x0)
  return alpha * x0 + sigma * eps


def edm_process(*, sigma_max: float = 80.0) -> NoiseProcess:
  """Alpha = 1, sigma = t (Karras et al. 2022): the unit scale itself."""
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
    # sigma/alpha = level means B = log(1 + level^2); then the positive root,
    # in the form that does not cancel for small levels.
    b = jnp.log1p(level**2)
    return 2 * b / (beta_min + jnp.sqrt(beta_min**2 + 2 * slope * b))

  return NoiseProcess(
    alpha=lambda t: jnp.exp(-0.5 * integral(t)),
    sigma=lambda t: jnp.sqrt(-jnp.expm1(-integral(t))),
    time=time,
    max_time=1.0,
  )


def vp_cosine_process(
  *, offset: float = 0.008, max_time: float = 0.995
) -> NoiseProcess:
  """Variance preserving with a cosine signal (Nichol & Dhariwal 2021, eq. 17).

  alpha = cos(u) / cos(u_0) with u = (t + offset) / (1 + offset) pi/2 and u_0
  its value at t = 0; sigma^2 = 1 - alpha^2. alpha is 0 at t = 1, so the process
  is cut at `max_time`.
  """
  arrays.check_in_range(
    'max_time', max_time, 0, 1, open_low=True, open_high=True
  )
  rate = math.pi / 2 / (1 + offset)
  start = offset * rate

  def sigma(time: Array) -> Array:
    # 1 - alpha^2 = (cos^2 u_0 - cos^2 u) / cos^2 u_0, without cancellation:
    # cos^2 a - cos^2 b = sin(b - a) sin(b + a).
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

  alpha is 0 at t = 1, so the process is cut at `max_time`.
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
