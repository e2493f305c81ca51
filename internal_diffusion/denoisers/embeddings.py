"""Features of noise levels, coordinates and noisy vectors, for networks."""

import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg

from internal_diffusion import arrays

Array = jax.Array


def fourier_features(
  values: Array, *, num_features: int, max_frequency: float = 16.0
) -> Array:
  """Sines and cosines of geometrically spaced frequencies (Tancik et al. 2020).

  The frequencies of the features [B, num_features] do not depend on a seed.

  Args:
    values: Numbers of order one, [B]; ln(sigma) / 4 spans about [-2, 1].
    num_features: Number of features, even.
    max_frequency: Highest frequency, in radians per unit; the lowest is 1.

  Raises:
    ValueError: If `num_features` is not a positive even number.
  """
  check_num_features('num_features', num_features)
  frequencies = jnp.geomspace(1.0, max_frequency, num_features // 2)
  angles = values[:, None] * frequencies[None]
  return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1)


# From half a period to eight periods over coordinates in [-1, 1].
_COORDINATE_FREQUENCIES = np.pi * 2.0 ** np.arange(5)


def integrated_fourier_features(values: Array, sigma: Array) -> Array:
  """Expected Fourier features [B, 10 D] of noisy coordinates [B, D].

  Without features of high frequency a network learns slowly to distinguish
  close values (Tancik et al. 2020). A frequency whose period is shorter than
  the noise has the expectation 0, so it does not disturb the network (Barron et
  al. 2021). Coordinates are of order one; each has its noise level, [B, D].
  """
  frequencies = jnp.asarray(_COORDINATE_FREQUENCIES, values.dtype)
  angles = values[..., None] * frequencies[None, None]
  weight = jnp.exp(-jnp.square(sigma[..., None] * frequencies[None, None]) / 2)
  features = [weight * jnp.sin(angles), weight * jnp.cos(angles)]
  return jnp.concatenate(features, axis=-1).reshape(len(values), -1)


def check_num_features(name: str, num_features: int) -> None:
  """Raises ValueError unless it is an even number of at least 2."""
  arrays.check_positive_int(name, num_features)
  if num_features % 2:
    raise ValueError(f'`{name}` must be even, got {num_features}.')


def frequency_bands(dim: int, *, num_bands: int = 18) -> np.ndarray:
  """Matrix [D, bands] that averages neighbouring principal components.

  Bands grow from single components at the coarse end to wide groups at the fine
  end.
  """
  edges = dim * np.linspace(0, 1, num_bands + 1) ** 1.5
  edges = np.unique(np.maximum(edges.round().astype(int), range(num_bands + 1)))
  edges = np.append(edges[edges < dim], dim)
  bands = np.zeros((dim, len(edges) - 1), np.float32)
  for index, (first, last) in enumerate(itertools.pairwise(edges)):
    bands[first:last, index] = 1 / (last - first)
  return bands


def num_bands(dim: int) -> int:
  """Number of the bands of vectors of length `dim`."""
  return frequency_bands(dim).shape[1]


def noise_relative_features(
  y: Array, *, sizes: Sequence[int] | None = None
) -> Array:
  """Features [B, D + number of bands] of principal coordinates over the noise.

  The contrast of the patches of one image varies widely: flat areas, texture,
  edges. The energy of neighbouring components shows how much of a component is
  signal. The features of y = z / sigma [B, D] are therefore its values on a
  compressed scale and the logarithm of the energy in each band (Portilla et al.
  2003 model the same as Gaussian scale mixtures). Each of the parts of y, whose
  lengths are `sizes`, has its own bands; None is one part.
  """
  parts = [frequency_bands(size) for size in sizes or y.shape[-1:]]
  bands = jnp.asarray(scipy.linalg.block_diag(*parts), y.dtype)
  energy = jnp.square(y) @ bands
  return jnp.concatenate(
    [jnp.arcsinh(y) / 2, jnp.log(energy + 0.1) / 2], axis=-1
  )


def soft_clip(y: Array, *, bound: float = 3.0) -> Array:
  """Smooth clip of y to [-bound, bound], the identity near 0."""
  return y * jax.lax.rsqrt(1 + jnp.square(y / bound))
