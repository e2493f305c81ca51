"""Examples of a distribution of patches, drawn from an image's pyramid."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion.applications.patches.options import (
  Distributions,
  PatchOptions,
)
from internal_diffusion.data import cascade, image_io, pair_table, patches
from internal_diffusion.data import pyramid as pyramid_lib
from internal_diffusion.jax_settings import with_own_settings
from internal_diffusion.training.examples import (
  CascadeDraw,
  Examples,
  TripletData,
  TripletDraw,
)
from internal_diffusion.types import PatchTriplet

Array = jax.Array


def level_sizes(
  height: int, width: int, options: PatchOptions
) -> list[tuple[int, int]]:
  """(height, width) of each pyramid level; a small image has one level."""
  return pyramid_lib.pyramid_sizes(
    height,
    width,
    scale_factor=options.pyramid.scale_factor,
    min_side=min(options.pyramid.min_side, height, width),
  )


def make_table(
  sizes: Sequence[tuple[int, ...]], options: PatchOptions
) -> pair_table.PairTable:
  """The pairs of patches of pyramid levels of given sizes."""
  return pair_table.make_pair_table(
    list(sizes),
    patch_size=options.patch_size,
    displacement_range=options.triplet.displacement_range,
    level_steps=options.triplet.level_steps,
    power=options.pyramid.level_power,
  )


def image_examples(image: np.ndarray, options: PatchOptions) -> Examples:
  """Examples of the distribution of `options`, from an image or a clip.

  The frames of a clip are scaled in space alone, so that dt is the same on all
  levels.

  Args:
    image: [H, W, C] float32 in [-1, 1], or a clip [T, H, W, C].
    options: Options of the model; `triplet.time` is for a clip.

  Raises:
    ValueError: If the image is constant or too small, or an option does not fit
      it.
  """
  image = _check(image, options)
  if image.max() - image.min() < 1e-6:
    raise ValueError(
      'The image is constant, so there is nothing to learn from it; give one'
      ' with some contrast.'
    )
  *length, height, width = image.shape[:-1]
  patches.check_patch_size(
    options.patch_size, smallest_side=min(height, width), where='image'
  )
  sizes = [(*length, *size) for size in level_sizes(height, width, options)]
  return level_examples(
    pyramid_lib.build_levels(jnp.asarray(image), sizes), options
  )


def _check(image: np.ndarray, options: PatchOptions) -> np.ndarray:
  """The image [H, W, C], or the clip [T, H, W, C], as float32."""
  if np.ndim(image) != 4:
    image = image_io.check_image(image)
    if options.triplet.time is not None:
      raise ValueError(
        '`triplet.time` must be None for an image; it is for a clip'
        f' [T, H, W, C], got {options.triplet.time}.'
      )
    return image
  if options.triplet.time is None:
    raise ValueError(
      '`triplet.time` must be the range of dt in frames for a clip, such as'
      ' (-1, 1), got None.'
    )
  if options.distribution is Distributions.CASCADE:
    raise ValueError("`distribution` 'cascade' is for images, got a clip.")
  # The frames as one tall image, which has the same values.
  tall = image_io.check_image(np.reshape(image, (-1, *np.shape(image)[2:])))
  return tall.reshape(np.shape(image))


@with_own_settings
def draw_triplets(
  key: Array, image: np.ndarray, options: PatchOptions, *, num: int
) -> PatchTriplet:
  """Draws triplets of an image, as training does.

  Args:
    key: One key.
    image: [H, W, C] float32 in [-1, 1], or a clip [T, H, W, C].
    options: The pyramid, the patches and the range of displacements.
    num: Number of triplets N.

  Returns:
    The triplets; delta in [-1, 1], see `data.displacement_of`.

  Raises:
    ValueError: If the image or an option is not usable, or the distribution is
      the cascade, which has no triplets.
  """
  examples = image_examples(image, options)
  if not isinstance(examples.draw, TripletDraw):
    raise ValueError(
      '`options.distribution` must not be'
      f' {str(options.distribution)!r}: it has no triplets.'
    )
  return examples.draw.triplets(key, examples.data, num)


def level_examples(
  levels: Sequence[np.ndarray | Array], options: PatchOptions
) -> Examples:
  """Examples from given pyramid levels [h, w, C], finest first.

  The levels of a clip are [t, h, w, C]. `options.pyramid` is not used.

  Raises:
    ValueError: If an option does not fit the levels.
  """
  distribution = options.distribution.distribution
  is_cascade = options.distribution == Distributions.CASCADE
  layout = distribution.layout(
    options.patch_size**2 * levels[0].shape[-1],
    num_levels=len(levels) - 1 if is_cascade else len(levels),
    delta_dim=levels[0].ndim,
  )
  if is_cascade:
    cascade_data = cascade.build_cascade(
      levels,
      patch_size=options.patch_size,
      power=options.pyramid.level_power,
    )
    return Examples(cascade_data, CascadeDraw(options.patch_size), layout)
  sizes = [level.shape[:-1] for level in levels]
  data = TripletData(
    pyramid_lib.stack_pyramid([jnp.asarray(level) for level in levels]),
    make_table(sizes, options),
  )
  draw = TripletDraw(
    distribution,
    options.patch_size,
    options.triplet.displacement_range,
    options.triplet.subpixel,
    options.triplet.dihedral,
  )
  # The draw checks its own options; nothing is computed here.
  jax.eval_shape(lambda: draw(jax.random.key(0), data, 1))
  queries = tuple(distribution.mask(*q) for q in distribution.queries)
  return Examples(data, draw, layout, queries)
