"""Gaussian process of chroma over patches of luminance and places.

Chroma c (two numbers) is a function of features f of a pixel: its place, its
luminance Y, luminance in two neighbourhoods, and contrast. A priori it is
Gaussian with mean 0, which is grey, and covariance

  cov(c(f), c(g)) = k(f, g) S,  S [2, 2],
  k(f, g) = sum_m a_m (o_m + Y_f Y_g) (1 + d_m) exp(-d_m),
  d_m = sqrt(3) |f - g|_m,

where |f - g|_m is a Euclidean distance after a division by the lengths of
component m. The factor with Y lets colours fade in shadows; one component is
about the kind of ground, the other also about the place. Given observations
c_i = c(f_i) + noise, with K = k(f_i, f_j) + noise I (Rasmussen and Williams
2006, eqs. 2.23 to 2.26),

  mean(f) = k(f, f_i) K^-1 c_i,  var(f) = k(f, f) - k(f, f_i) K^-1 k(f_i, f),

which is kernel regression with the correlations of the observations taken into
account. S is the estimate of maximum likelihood, c^T K^-1 c / N. Samples follow
from prior samples p by Matheron's rule,

  p(f) + k(f, f_i) K^-1 (c_i - p(f_i) - noise),

and those from random waves (Rahimi and Recht 2007): the spectral density of
this covariance (Matern's of order 3/2) is a multivariate t density of 3 degrees
of freedom.

A group of observations is predicted from all others, for calibration, by blocks
of K^-1 alone: error = B^-1 (K^-1 c)_g, variance = diag B^-1, B = (K^-1)_gg.
"""

import functools
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion.types import static

Array = jax.Array

_CHUNK = 4096
_NUM_WAVES = 512
_PADDING = 256  # Numbers of observations are rounded up to a multiple of it.
_LUMINANCE = 2  # Index of the luminance among the features.


class Kernel(NamedTuple):
  """Covariance function of M components over F features.

  Attributes:
    lengths: Distance of each feature over which chroma changes, [M, F]; inf
      ignores the feature.
    amplitude: Variance a of each component, [M].
    offset: The constant o that is added to the product of luminances, [M].
    noise: Variance of the noise of an observation.
  """

  lengths: np.ndarray
  amplitude: np.ndarray
  offset: np.ndarray
  noise: np.ndarray


@flax.struct.dataclass
class ChromaProcess:
  """Posterior of chroma given observations.

  Attributes:
    kernel: Covariance function.
    features: Features of the N observations, [N, F].
    weights: K^-1 c, [N, 2].
    whitening: Inverse of the lower Cholesky factor of K, [N, N].
    covariance: Covariance S of the two numbers of chroma, [2, 2].
  """

  kernel: Kernel
  features: Array
  weights: Array
  whitening: Array
  covariance: Array


class LeftOut(NamedTuple):
  """Observations, each predicted from those of all other groups.

  Attributes:
    error: Observation minus prediction, [N, 2].
    variance: Variance of the error, in units of the covariance S, [N].
    covariance: Covariance S, [2, 2].
  """

  error: np.ndarray
  variance: np.ndarray
  covariance: np.ndarray


class Posterior(NamedTuple):
  """Posterior at pixels.

  Attributes:
    mean: Posterior mean, [P, 2].
    variance: Posterior variance, in units of the covariance S, [P].
    samples: Posterior samples, [K, P, 2].
  """

  mean: np.ndarray
  variance: np.ndarray
  samples: np.ndarray


def observe(
  kernel: Kernel, features: np.ndarray, chroma: np.ndarray, group: np.ndarray
) -> tuple[ChromaProcess, LeftOut]:
  """Posterior given observations, and these predicted from each other.

  Args:
    kernel: Covariance function.
    features: Features of the observations, [N, F].
    chroma: Observed chroma, [N, 2].
    group: Group of each observation, [N] int from 0.
  """
  num, size = len(features), -(-len(features) // _PADDING) * _PADDING
  # In float64: neighbours are nearly dependent.
  features, chroma = features.astype(np.float64), chroma.astype(np.float64)
  matrix = np.asarray(kernel_matrix(kernel, features, features))
  matrix = matrix + kernel.noise * np.eye(num)
  factor = np.linalg.inv(np.linalg.cholesky(matrix))
  inverse = factor.T @ factor
  weights = inverse @ chroma
  covariance = chroma.T @ weights / num
  covariance += 1e-8 * np.eye(2)
  error, variance = np.empty_like(chroma), np.empty(num)
  for index in range(group.max() + 1):
    members = np.nonzero(group == index)[0]
    block = np.linalg.inv(inverse[np.ix_(members, members)])
    error[members] = block @ weights[members]
    variance[members] = np.diag(block)
  # Zero weights make the other observations ineffective.
  fields: dict[str, Any] = dict(
    kernel=Kernel(*(np.asarray(field, np.float32) for field in kernel)),
    features=_padded(features, size),
    weights=_padded(weights, size),
    whitening=_padded(_padded(factor, size).T, size).T,
    covariance=covariance.astype(np.float32),
  )
  return ChromaProcess(**fields), LeftOut(error, variance, covariance)


def _padded(values: np.ndarray, size: int) -> np.ndarray:
  """Rows of zeros after `values` [N, D], [size, D] float32."""
  padding = ((0, size - len(values)), (0, 0))
  return np.pad(values, padding).astype(np.float32)


def kernel_matrix(
  kernel: Kernel, f: Array | np.ndarray, g: Array | np.ndarray
) -> Any:
  """Covariances [P, N] of features [P, F] and [N, F]."""
  library = np if isinstance(f, np.ndarray) else jnp
  total: Any = 0.0
  luminances = f[:, _LUMINANCE, None] * g[None, :, _LUMINANCE]
  for lengths, amplitude, offset in zip(*kernel[:3], strict=True):
    a, b = f / lengths[None], g / lengths[None]
    squares = (a**2).sum(-1)[:, None] + (b**2).sum(-1)[None] - 2 * a @ b.T
    d = library.sqrt(library.maximum(3 * squares, 1e-9))
    total += amplitude * (offset + luminances) * (1 + d) * library.exp(-d)
  return total


@flax.struct.dataclass
class _Waves:
  """Random waves whose sums are samples of the prior.

  Attributes:
    frequency: Frequencies, [M, F, D].
    phase: Phases, [M, D].
    height: Heights of the waves without and with the factor Y, [M, 2, D, 2 K].
    num_samples: Number K of samples.
  """

  frequency: Array
  phase: Array
  height: Array
  num_samples: int = static()


@functools.partial(jax.jit, static_argnames='num_samples')
def _draw_waves(key: Array, kernel: Kernel, *, num_samples: int) -> _Waves:
  """Draws waves for K samples of two independent numbers each."""
  components, num_features = kernel.lengths.shape
  keys = jax.random.split(key, 4)
  shape = (components, num_features, _NUM_WAVES)
  normal = jax.random.normal(keys[0], shape)
  squares = jax.random.normal(keys[1], (3, components, 1, _NUM_WAVES)) ** 2
  divisor = jnp.sqrt(jnp.mean(squares, axis=0))
  frequency = normal / divisor / kernel.lengths[:, :, None]
  phase = jax.random.uniform(keys[2], (components, _NUM_WAVES))
  height = jax.random.normal(
    keys[3], (components, 2, _NUM_WAVES, 2 * num_samples)
  )
  factor = jnp.stack([kernel.offset, jnp.ones(components)], axis=1)
  scale = jnp.sqrt(2 / _NUM_WAVES * kernel.amplitude[:, None] * factor)
  return _Waves(
    frequency,
    2 * jnp.pi * phase,
    height * scale[:, :, None, None],
    num_samples,
  )


def _prior_samples(waves: _Waves, features: Array) -> Array:
  """Values [P, 2 K] of the prior samples at features [P, F]."""
  total = jnp.zeros((len(features), 2 * waves.num_samples))
  for frequency, phase, height in zip(
    waves.frequency, waves.phase, waves.height, strict=True
  ):
    wave = jnp.cos(features @ frequency + phase[None])
    total += wave @ height[0]
    total += features[:, _LUMINANCE, None] * (wave @ height[1])
  return total


@jax.jit
def _posterior(
  key: Array, process: ChromaProcess, waves: _Waves, features: Array
) -> tuple[Array, Array, Array]:
  """Mean [c, p, 2], variance [c, p] and samples [c, p, 2 K] in chunks."""
  noise = jax.random.normal(
    key, (len(process.features), 2 * waves.num_samples)
  ) * jnp.sqrt(process.kernel.noise)
  prior = _prior_samples(waves, process.features) + noise
  correction = process.whitening.T @ (process.whitening @ prior)

  def one_chunk(f: Array) -> tuple[Array, Array, Array]:
    near = kernel_matrix(process.kernel, f, process.features)
    explained = jnp.sum((near @ process.whitening.T) ** 2, axis=-1)
    square = f[:, _LUMINANCE, None] ** 2 + process.kernel.offset[None]
    total = jnp.sum(process.kernel.amplitude[None] * square, axis=-1)
    samples = _prior_samples(waves, f) - near @ correction
    return near @ process.weights, total - explained, samples

  return jax.lax.map(one_chunk, features)


def posterior(
  key: Array,
  process: ChromaProcess,
  features: np.ndarray,
  *,
  num_samples: int,
) -> Posterior:
  """Posterior mean, variance and samples at features [P, F]."""
  num = len(features)
  rows = np.zeros((-(-num // _CHUNK) * _CHUNK, features.shape[1]), np.float32)
  rows[:num] = features
  keys = jax.random.split(key)
  waves = _draw_waves(keys[0], process.kernel, num_samples=num_samples)
  mean, variance, deviation = (
    np.asarray(part).reshape(len(rows), -1)[:num]
    for part in _posterior(
      keys[1],
      process,
      waves,
      rows.reshape(-1, _CHUNK, features.shape[1]),
    )
  )
  factor = np.linalg.cholesky(process.covariance)
  deviation = deviation.reshape(num, num_samples, 2).swapaxes(0, 1)
  least = float(process.kernel.noise)
  return Posterior(
    mean,
    np.maximum(variance[:, 0], 0) + least,
    mean[None] + deviation @ factor.T,
  )
