"""Embeddings of scalars for networks."""

import jax
import jax.numpy as jnp

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
    [B, num_features], each of unit mean square.

  Raises:
    ValueError: If `num_features` is not a positive even number.
  """
  arrays.check_positive_int('num_features', num_features)
  if num_features % 2:
    raise ValueError(f'`num_features` must be even, got {num_features}.')
  frequencies = jnp.geomspace(1.0, max_frequency, num_features // 2)
  angles = values[:, None] * frequencies[None]
  features = jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1)
  return jnp.sqrt(2.0) * features
