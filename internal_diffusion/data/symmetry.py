"""The eight symmetries of the square."""

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion.types import PatchTriplet

Array = jax.Array


def pixel_orders(side: int) -> np.ndarray:
  """Pixel permutations of the eight symmetries of a square.

  Args:
    side: Side of the square in pixels.

  Returns:
    Row-major pixel indices, [8, side^2], in the order of the symmetries in
    `transform_triplets`: pixel (i, j) of the result comes from the mirrored,
    then swapped position.

  Example:
    >>> pixel_orders(2)[1].tolist()  # Left and right mirrored.
    [1, 0, 3, 2]
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
  """Applies symmetries of the square to triplets, as if to the whole image.

  Args:
    triplets: Triplets with both axes of displacement in one unit.
    index: Symmetry of each triplet, [N] int32: the sum of 4 (swap the axes),
      then 2 (mirror top and bottom), then 1 (mirror left and right).
    patch_size: Side P of a patch in pixels.

  Returns:
    The transformed triplets.
  """
  swap, signs = (index & 4) > 0, jnp.stack([index & 2, index & 1], axis=-1) > 0
  order = jnp.asarray(pixel_orders(patch_size))[index][..., None]

  def transform(vectors: Array) -> Array:
    pixels = vectors.reshape(len(vectors), patch_size**2, -1)
    return jnp.take_along_axis(pixels, order, axis=1).reshape(vectors.shape)

  delta = triplets.delta
  time, displacement, scale = delta[:, :-3], delta[:, -3:-1], delta[:, -1:]
  swapped = jnp.where(swap[:, None], displacement[:, ::-1], displacement)
  return triplets._replace(
    source=transform(triplets.source),
    target=transform(triplets.target),
    delta=jnp.concatenate(
      [time, jnp.where(signs, -swapped, swapped), scale], -1
    ),
  )
