"""What networks are shown: noise levels and noisy vectors as features."""

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

  Fixed, not drawn at random, so that a network's sense of noise levels does not
  depend on a seed.

  Args:
    values: [B], of order one (ln(sigma) / 4 spans about [-2, 1]).
    num_features: Length of the result, even.
    max_frequency: Highest frequency, in radians per unit; the lowest is 1.

  Returns:
    [B, num_features].

  Raises:
    ValueError: If `num_features` is not a positive even number.
  """
  check_num_features('num_features', num_features)
  frequencies = jnp.geomspace(1.0, max_frequency, num_features // 2)
  angles = values[:, None] * frequencies[None]
  return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1)


# Of coordinates in [-1, 1]: from half a period to eight.
_COORDINATE_FREQUENCIES = np.pi * 2.0 ** np.arange(5)


def integrated_fourier_features(values: Array, sigma: Array) -> Array:
  """Expected Fourier features of noisy coordinates (Barron et al. 2021).

  Without features of high frequency a network is slow to tell near values
  apart (Tancik et al. 2020). Where noise hides a frequency, its expectation is
  0 and nothing is left of it to be distracted by.

  Args:
    values: Coordinates of order one, [B, D].
    sigma: Their noise level, [B, D].

  Returns:
    [B, 10 D].
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

  Bands grow from single components at the coarse end, where each has a meaning
  of its own, to wide groups at the fine end.
  """
  edges = dim * np.linspace(0, 1, num_bands + 1) ** 1.5
  edges = np.unique(np.maximum(edges.round().astype(int), range(num_bands + 1)))
  edges = np.append(edges[edges < dim], dim)
  bands = np.zeros((dim, len(edges) - 1), np.float32)
  for index, (first, last) in enumerate(itertools.pairwise(edges)):
    bands[first:last, index] = 1 / (last - first)
  return bands


def noise_relative_features(
  y: Array, *, sizes: Sequence[int] | None = None
) -> Array:
  """Features of a vector in units of its noise, y = x / sigma [B, D].

  Patches of one image are a mixture of very different contrasts: flat ground,
  fine grain, hard edges. How much of a component is signal shows in the energy
  of its neighbours, so a network is told, beside the values on a compressed
  scale, the logarithm of the energy in each band (Portilla et al. 2003 denoise
  with the same knowledge, as Gaussian scale mixtures).

  Args:
    y: Principal coordinates over the noise level, [B, D].
    sizes: Lengths of the parts that y consists of, each with bands of its own;
      None is one part.

  Returns:
    [B, D + bands].
  """
  parts = [frequency_bands(size) for size in sizes or y.shape[-1:]]
  bands = jnp.asarray(scipy.linalg.block_diag(*parts), y.dtype)
  energy = jnp.square(y) @ bands
  return jnp.concatenate(
    [jnp.arcsinh(y) / 2, jnp.log(energy + 0.1) / 2], axis=-1
  )


def soft_clip(y: Array, *, bound: float = 3.0) -> Array:
  """Y where |y| is well below the bound, the bound with y's sign far above."""
  return y * jax.lax.rsqrt(1 + jnp.square(y / bound))
