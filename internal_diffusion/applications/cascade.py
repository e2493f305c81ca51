"""A learned model of one photograph as a maker of whole images.

One network, trained with configs/cascade.py, is p(patch) at the coarsest level
and p(target | source, delta) above, where the source is the patch of the
finished coarser level that is nearest to the target. Lifted to images it stands
where the closed form stands in `generation`.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion.applications import generation
from internal_diffusion.applications.generation import ImageModel
from internal_diffusion.data import pair_table, patches, triplets
from internal_diffusion.denoisers import learned
from internal_diffusion.sampling import full_image
from internal_diffusion.sampling.coarse_to_fine import Level, LevelDenoiseFn
from internal_diffusion.training.model import LearnedModel
from internal_diffusion.types import Condition, ParametricDenoiseFn

Array = jax.Array

_STRIDE = 2  # Distance of denoised patches, in pixels.


def make_image_model(model: LearnedModel, image: np.ndarray) -> ImageModel:
  """The image model of a photograph and of what was learnt from it.

  Args:
    model: Trained with the distribution 'cascade' on this photograph.
    image: [H, W, C] float32 in [-1, 1].

  Raises:
    ValueError: If the model is another one, or the image has another number of
      channels.
  """
  config = model.config
  if config.distribution != 'cascade':
    raise ValueError(
      'Whole images need a model that was trained with configs/cascade.py; this'
      f' one is of the distribution {config.distribution!r}.'
    )
  if sum(model.layout.x0_sizes) != config.patch_size**2 * image.shape[-1]:
    raise ValueError(
      'The model was trained on a photograph with another number of channels'
      f' than {image.shape[-1]}.'
    )
  num_levels = model.layout.num_levels
  images = generation.build_images(
    image, patch_size=config.patch_size, num_levels=num_levels
  )
  denoise_fn = learned.to_pixel_space(model.principal_denoise_fn)
  levels = [
    Level(
      _level_fn(
        denoise_fn, level, config.patch_size, config.condition.sigma_aug
      ),
      model.params,
    )
    for level in reversed(range(num_levels))
  ]
  tree = generation.build_tree(images[-1], patch_size=config.patch_size)
  return ImageModel(images, tuple(levels), config.patch_size, tree)


@functools.lru_cache
def _level_fn(
  patch_denoise_fn: ParametricDenoiseFn,
  level: int,
  patch_size: int,
  sigma_aug: float,
) -> LevelDenoiseFn:
  """The denoiser of images of a level; 0 is the finest."""

  def denoise_fn(
    params: learned.LearnedParams,
    coarse: Array | None,
    x: Array,
    sigma: Array,
  ) -> Array:
    def one_image(x: Array, coarse: Array | None) -> Array:
      vectors_fn = functools.partial(
        _source_and_delta, coarse, x.shape, patch_size
      )

      def whole_fn(x: Array, sigma: Array, spots: full_image.Spots) -> Array:
        vector, given = vectors_fn(spots.origin[None] + spots.places)
        cond = Condition(
          level=jnp.full(len(x), level), vector=vector, given=given
        )
        return patch_denoise_fn(params, x, sigma, cond)

      denoiser = full_image.from_whole(whole_fn, patch_size=patch_size)
      return full_image.lift(denoiser, stride=_STRIDE)(x[None], sigma)[0]

    if coarse is None:
      return jax.lax.map(lambda x: one_image(x, None), x)
    noise = jax.random.normal(jax.random.key(level), coarse.shape)
    noisy = coarse + sigma_aug * noise
    return jax.lax.map(lambda both: one_image(*both), (x, noisy))

  return denoise_fn


def _source_and_delta(
  coarse: Array | None,
  shape: tuple[int, ...],
  patch_size: int,
  places: Array,
) -> tuple[Array, Array]:
  """The condition [N, K] of patches at places [N, 2], and if it is given."""
  num = len(places)
  if coarse is None:
    dim = patch_size**2 * shape[-1] + 3
    return jnp.zeros((num, dim)), jnp.zeros((num, 1), bool)
  found = [
    pair_table.nearest_coarser(
      places[:, axis], shape[axis], coarse.shape[axis], patch_size=patch_size
    )
    for axis in (0, 1)
  ]
  (row, down), (column, right) = found
  dense = patches.extract_patches(coarse, patch_size=patch_size)
  ratio = np.prod(np.array(shape[:2]) / coarse.shape[:2])
  delta = triplets.to_delta(
    jnp.stack([down, right], axis=-1),
    jnp.full(num, np.log2(ratio) / 2),
    displacement_range=pair_table.cascade_range(patch_size),
  )
  vector = jnp.concatenate([dense[row, column], delta], axis=-1)
  return vector, jnp.ones((num, 1), bool)
