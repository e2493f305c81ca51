"""How a field slants around every pixel: a robust mean of its differences.

Close by, a field is taken to be a plane: neighbours differ by the same slope s
all around. Where something else begins, they differ by more, and that does not
count. So s is where

  sum_j g_j w_j log(c^2 + |d_j - s|^2)

is least, with differences d, Gaussian shares g of the pixels around and weights
w of their own: Cauchy's M-estimator, found by reweighted means from no slope
on.
"""

import jax
import jax.numpy as jnp

Array = jax.Array

_NUM_REWEIGHTINGS = 2
_TINY = 1e-9  # Of the weights around: where none counts, nothing slants.


def local_slopes(
  differences: Array, weights: Array, *, scale: float, contrast: float
) -> Array:
  """The slopes of a field in one direction, [H, W, C].

  Args:
    differences: d, of neighbours in that direction, [H, W, C].
    weights: w, at least 0, [H, W].
    scale: Standard deviation of g, in pixels, above 0.
    contrast: c, in units of the field, above 0.
  """
  down, right = (_gaussian(side, scale) for side in weights.shape)

  def average(values: Array) -> Array:
    return jnp.einsum('ih,hwc,jw->ijc', down, values, right)

  slopes = jnp.zeros_like(differences)
  for _ in range(_NUM_REWEIGHTINGS):
    off = jnp.sum((differences - slopes) ** 2, axis=-1)
    weight = (weights / (contrast**2 + off))[..., None]
    slopes = average(weight * differences) / (average(weight) + _TINY)
  return slopes


def _gaussian(side: int, scale: float) -> Array:
  """Shares of places, as rows, [side, side]."""
  place = jnp.arange(side)
  distance = (place[:, None] - place[None]) / scale
  share = jnp.exp(-(distance**2) / 2)
  return share / jnp.sum(share, axis=1, keepdims=True)
