"""The eight symmetries of the square."""

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion.types import PatchTriplet

Array = jax.Array


def pixel_orders(side: int) -> np.ndarray:
  """The pixels of a square, row by row, in each of its symmetries, [8, side^2].

  In the order that `transform_triplets` numbers them in: pixel (i, j) of the
  result is that of the mirrored, then swapped place.
  """
  grid = np.stack(np.meshgrid(*2 * [np.arange(side)], indexing='ij'), -1)
  orders = []
  for number in range(8):
    place = np.where([number & 2, number & 1], side - 1 - grid, grid)
    row, column = np.moveaxis(place[..., ::-1] if number & 4 else place, -1, 0)
    orders.append((row * side + column).ravel())
  return np.array(orders)


def transform_triplets(
  triplets: PatchTriplet, index: Array, *, patch_size: int
) -> PatchTriplet:
  """Turns and mirrors triplets as if their whole image had been.

  Args:
    triplets: With both axes of displacement in one unit.
    index: Which of the eight symmetries of the square, [N] int32: 4 swaps the
      axes, then 2 mirrors top and bottom, then 1 left and right; their sum.
    patch_size: P.

  Returns:
    The transformed triplets.
  """
  swap, signs = (index & 4) > 0, jnp.stack([index & 2, index & 1], axis=-1) > 0
  order = jnp.asarray(pixel_orders(patch_size))[index][..., None]

  def transform(vectors: Array) -> Array:
    pixels = vectors.reshape(len(vectors), patch_size**2, -1)
    return jnp.take_along_axis(pixels, order, axis=1).reshape(vectors.shape)

  displacement, scale = triplets.delta[:, :2], triplets.delta[:, 2:]
  swapped = jnp.where(swap[:, None], displacement[:, ::-1], displacement)
  return triplets._replace(
    source=transform(triplets.source),
    target=transform(triplets.target),
    delta=jnp.concatenate([jnp.where(signs, -swapped, swapped), scale], -1),
  )
