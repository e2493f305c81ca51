"""A learned model of one photograph as a maker of whole images.

One network, trained with configs/cascade.py and told the level, is p(target |
source), one level finer (`data.cascade` says what it is shown). Lifted to
images it stands where the closed form stands in `generation`, but at the
coarsest level: the few patches there are what a network would have to learn by
heart, and the closed form knows them.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion.applications import image_model
from internal_diffusion.applications.image_model import ImageModel
from internal_diffusion.data import cascade
from internal_diffusion.data.pyramid import resample
from internal_diffusion.denoisers import learned
from internal_diffusion.denoisers.learned import LearnedParams
from internal_diffusion.sampling import full_image
from internal_diffusion.sampling.coarse_to_fine import Level, LevelDenoiseFn
from internal_diffusion.training.model import LearnedModel
from internal_diffusion.types import Condition, ParametricDenoiseFn

Array = jax.Array

_PATCH_SIZE = 15  # Of the coarsest level.
_STRIDE = 2  # Distance of denoised patches, in pixels.
# Patches agree on details by and by, so a finer level begins with more noise
# and takes more steps than the closed form's.
_ON_ENLARGED, _STEP_SHARE = 4.0, 2.0


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
  num_learned = model.layout.num_levels
  images = image_model.build_images(
    image, patch_size=_PATCH_SIZE, num_levels=num_learned + 1
  )
  denoise_fn = learned.to_pixel_space(model.principal_denoise_fn)
  levels = [image_model.closed_form_level(images[0], patch_size=_PATCH_SIZE)]
  levels += [
    Level(
      _level_fn(
        denoise_fn, level, config.patch_size, config.condition.sigma_aug
      ),
      model.params,
      sigma_max=_ON_ENLARGED,
      step_share=_STEP_SHARE,
    )
    for level in reversed(range(num_learned))
  ]
  tree = image_model.build_tree(images[-1], patch_size=_PATCH_SIZE)
  return ImageModel(images, tuple(levels), _PATCH_SIZE, tree)


@functools.lru_cache
def _level_fn(
  patch_denoise_fn: ParametricDenoiseFn,
  level: int,
  patch_size: int,
  sigma_aug: float,
) -> LevelDenoiseFn:
  """The denoiser of images of a level; 0 is the finest."""

  def one_image(
    params: LearnedParams, coarse: Array, x: Array, sigma: Array
  ) -> Array:
    enlarged = resample(coarse, (x.shape[0], x.shape[1]))
    # The noise that conditions had in training; the same at every step.
    noise = jax.random.normal(jax.random.key(level), x.shape)
    padded = cascade.pad_for_sources(
      enlarged + sigma_aug * noise, patch_size=patch_size
    )

    def whole_fn(x: Array, sigma: Array, spots: full_image.Spots) -> Array:
      cond = Condition(
        level=jnp.full(len(x), level),
        vector=cascade.sources_at(
          padded, spots.origin[None] + spots.places, patch_size=patch_size
        ),
      )
      return patch_denoise_fn(params, x, sigma, cond)

    denoiser = full_image.from_whole(whole_fn, patch_size=patch_size)
    lifted = full_image.lift(denoiser, stride=_STRIDE)
    return enlarged + lifted((x - enlarged)[None], sigma)[0]

  def denoise_fn(
    params: LearnedParams, coarse: Array | None, x: Array, sigma: Array
  ) -> Array:
    assert coarse is not None  # The coarsest level is the closed form's.
    return jax.lax.map(
      lambda both: one_image(params, both[0], both[1], sigma), (coarse, x)
    )

  return denoise_fn
