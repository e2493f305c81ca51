"""What a training run draws its examples from: an image, or a set of points."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from internal_diffusion import arrays
from internal_diffusion.data import (
  cascade,
  distributions,
  image_io,
  pair_table,
  patches,
  triplets,
)
from internal_diffusion.data import pyramid as pyramid_lib
from internal_diffusion.data.distributions import Distribution, Layout, Part
from internal_diffusion.types import Condition, PatchTriplet

Array = jax.Array


@dataclasses.dataclass(frozen=True)
class Examples:
  """A source of examples on the device.

  Attributes:
    data: A pytree; passed to compiled steps as an argument.
    draw_fn: `(key, data, num) -> (x0 [num, D], cond)`, the condition clean and
      whole.
    layout: What is generated and told.
    queries: Masks of what is given in a joint model, [M][G]; empty otherwise.
  """

  data: Any
  draw_fn: Callable[[Array, Any, int], tuple[Array, Condition]]
  layout: Layout
  queries: tuple[tuple[bool, ...], ...] = ()


class TripletData(NamedTuple):
  """A photograph on the device, and what is drawn from it."""

  pyramid: pyramid_lib.Pyramid
  table: pair_table.PairTable


def distribution_of(config: ml_collections.ConfigDict) -> Distribution:
  """The distribution that a configuration names."""
  match config.distribution:
    case 'patch':
      return distributions.patch
    case 'target_given_source':
      return distributions.target_given_source
    case 'cascade':
      return distributions.cascade
    case 'delta_given_pair':
      return distributions.delta_given_pair
    case 'joint':
      return distributions.joint
    case other:
      raise ValueError(
        "`distribution` must be 'patch', 'target_given_source', 'cascade',"
        f" 'delta_given_pair' or 'joint', got {other!r}."
      )


def level_sizes(
  height: int, width: int, config: ml_collections.ConfigDict
) -> list[tuple[int, int]]:
  """(height, width) of each pyramid level; a small image has one level."""
  return pyramid_lib.pyramid_sizes(
    height,
    width,
    scale_factor=config.pyramid.scale_factor,
    min_side=min(config.pyramid.min_side, height, width),
  )


def image_layout(
  config: ml_collections.ConfigDict, *, num_levels: int, num_channels: int
) -> Layout:
  """What a configuration's model generates and is told."""
  return distribution_of(config).layout(
    config.patch_size**2 * num_channels, num_levels=num_levels
  )


def displacement_range(
  config: ml_collections.ConfigDict,
) -> pair_table.DisplacementRange:
  """The range of displacements of a configuration."""
  (top, bottom), (left, right) = (
    config.triplet.vertical,
    config.triplet.horizontal,
  )
  return (top, bottom), (left, right)


def make_table(
  sizes: list[tuple[int, int]], config: ml_collections.ConfigDict
) -> pair_table.PairTable:
  """The pairs of patches of a configuration."""
  return pair_table.make_pair_table(
    sizes,
    patch_size=config.patch_size,
    displacement_range=displacement_range(config),
    level_steps=tuple(config.triplet.level_steps),
    power=config.pyramid.level_power,
  )


def image_levels(
  image: np.ndarray, config: ml_collections.ConfigDict
) -> list[Array]:
  """The pyramid levels of an image, finest first.

  Raises:
    ValueError: If the image has nothing to learn from, or a field does not fit
      it.
  """
  image = image_io.check_image(image)
  if image.max() - image.min() < 1e-6:
    raise ValueError(
      'The image is constant, so there is nothing to learn from it; give one'
      ' with some contrast.'
    )
  height, width = image.shape[:2]
  patches.check_patch_size(
    config.patch_size, smallest_side=min(height, width), where='image'
  )
  sizes = level_sizes(height, width, config)
  return pyramid_lib.build_levels(jnp.asarray(image), sizes)


def draw_triplets(
  key: Array, data: TripletData, num: int, config: ml_collections.ConfigDict
) -> PatchTriplet:
  """Random triplets as a configuration describes them."""
  options = config.triplet
  return triplets.sample_triplets(
    key,
    data.pyramid,
    data.table,
    num=num,
    patch_size=config.patch_size,
    displacement_range=displacement_range(config),
    subpixel=options.subpixel,
    dihedral=options.dihedral,
  )


def from_image(
  image: np.ndarray, config: ml_collections.ConfigDict
) -> Examples:
  """Examples of a configuration's distribution, from one image.

  Args:
    image: [H, W, C] float32 in [-1, 1].
    config: As in configs/default.py.

  Raises:
    ValueError: If the image or a field is not usable.
  """
  return from_levels(image_levels(image, config), config)


def from_levels(
  levels: Sequence[np.ndarray | Array], config: ml_collections.ConfigDict
) -> Examples:
  """The same from pyramid levels that were made in another way.

  Args:
    levels: Images [h, w, C] float32 in [-1, 1], finest first.
    config: As in configs/default.py; what it says of the pyramid does not
      count.

  Raises:
    ValueError: If a field is not usable.
  """
  if config.distribution == 'cascade':
    return _from_cascade(levels, config)
  distribution = distribution_of(config)
  sizes = [(level.shape[0], level.shape[1]) for level in levels]
  data = TripletData(
    pyramid_lib.stack_pyramid([jnp.asarray(level) for level in levels]),
    make_table(sizes, config),
  )

  def draw_fn(
    key: Array, data: TripletData, num: int
  ) -> tuple[Array, Condition]:
    return distribution(draw_triplets(key, data, num, config))

  # Options that only the draw looks at are checked here, nothing is computed.
  jax.eval_shape(lambda: draw_fn(jax.random.key(0), data, 1))
  return Examples(
    data=data,
    draw_fn=draw_fn,
    layout=image_layout(
      config,
      num_levels=data.pyramid.num_levels,
      num_channels=levels[0].shape[-1],
    ),
    queries=tuple(distribution.mask(*q) for q in distribution.queries),
  )


def _from_cascade(
  levels: Sequence[np.ndarray | Array], config: ml_collections.ConfigDict
) -> Examples:
  patch_size = config.patch_size

  def draw_fn(
    key: Array, data: cascade.CascadePyramid, num: int
  ) -> tuple[Array, Condition]:
    target, source, level = cascade.sample_pairs(
      key, data, num=num, patch_size=patch_size
    )
    return target, Condition(level=level, vector=source)

  return Examples(
    data=cascade.build_cascade(
      levels, patch_size=patch_size, power=config.pyramid.level_power
    ),
    draw_fn=draw_fn,
    layout=image_layout(
      config, num_levels=len(levels) - 1, num_channels=levels[0].shape[-1]
    ),
  )


def from_points(
  x0: np.ndarray | Array, *, conditions: np.ndarray | Array | None = None
) -> Examples:
  """Examples drawn uniformly from a finite set.

  Args:
    x0: [N, D].
    conditions: The condition of each, [N, K], or None.

  Raises:
    ValueError: If the shapes do not fit.
  """
  x0 = jnp.asarray(x0, jnp.float32)
  given: tuple[Part, ...] = ()
  vector = None
  if conditions is not None:
    vector = jnp.asarray(conditions, jnp.float32)
    if vector.ndim != 2 or len(vector) != len(x0):
      raise ValueError(
        f'`conditions` must be [{len(x0)}, K], got shape {vector.shape}.'
      )
    given = (Part('condition', vector.shape[1]),)

  def draw_fn(
    key: Array, data: tuple[Array, Array | None], num: int
  ) -> tuple[Array, Condition]:
    x0, vector = data
    index = arrays.index_from_uniform(arrays.uniform(key, (num,)), len(x0))
    return x0[index], Condition(
      vector=None if vector is None else vector[index]
    )

  return Examples(
    data=(x0, vector),
    draw_fn=draw_fn,
    layout=Layout((Part('point', x0.shape[1]),), given),
  )
