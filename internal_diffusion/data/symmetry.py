"""The eight symmetries of the square, for triplets."""

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion.types import PatchTriplet

Array = jax.Array


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
  # Pixel (i, j) of the result is that of the mirrored, then swapped place.
  grid = np.stack(np.meshgrid(*2 * [np.arange(patch_size)], indexing='ij'), -1)
  table = []
  for number in range(8):
    place = np.where([number & 2, number & 1], patch_size - 1 - grid, grid)
    row, column = np.moveaxis(place[..., ::-1] if number & 4 else place, -1, 0)
    table.append((row * patch_size + column).ravel())
  order = jnp.asarray(np.array(table))[index][..., None]

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
