"""The prior of images with a learned denoiser at all levels but the coarsest.

One network, trained with configs/cascade.py and conditioned on the level, is
p(target | source), one level finer (`data.cascade` defines both). Lifted to
images, it replaces the closed form. The coarsest level keeps the closed form: a
network would have to memorise the few patches there.
"""

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion import arrays
from internal_diffusion.applications.images import prior as prior_lib
from internal_diffusion.applications.images.prior import PATCH_SIZE, ImagePrior
from internal_diffusion.applications.patches import Distributions, PatchModel
from internal_diffusion.data import cascade
from internal_diffusion.data.resampling import resample
from internal_diffusion.jax_settings import with_own_settings
from internal_diffusion.sampling import full_image
from internal_diffusion.sampling.coarse_to_fine import Level
from internal_diffusion.types import Condition, Denoiser, static

Array = jax.Array

_STRIDE = 2  # Distance of denoised patches, in pixels.
# Patches agree on details only gradually, so a finer level begins with more
# noise and takes more steps than the closed form's.
_SIGMA_ON_ENLARGED, _STEP_FACTOR = 4.0, 2.0


@flax.struct.dataclass
class CascadeDenoiser:
  """A denoiser of residual patches, as a denoiser of a level's images.

  Attributes:
    patch_denoiser: Denoiser of residual patches [N, P*P*C], given the level and
      the sources.
    sigma_aug: Noise level that is added to the sources, scalar.
    level: Pyramid level, counted from the finest, 0.
    patch_size: Side P of a patch.
    is_told_noise: Whether the patch denoiser receives that noise level, since
      it was trained with many.
  """

  patch_denoiser: Denoiser
  sigma_aug: Array
  level: int = static()
  patch_size: int = static()
  is_told_noise: bool = static(default=False)

  @property
  def reach(self) -> int:
    """Distance at which pixels influence an estimate, in pixels."""
    return 2 * self.patch_size  # Sources are twice as wide as patches.

  def __call__(
    self, x: Array, sigma: Array, cond: Condition | None = None
  ) -> Array:
    """Posterior mean of images [B, H, W, C], given the next coarser level."""
    assert cond is not None
    assert cond.image is not None  # The coarsest level is the closed form's.
    return jax.lax.map(
      lambda both: self._one_image(both[0], both[1], sigma), (x, cond.image)
    )

  def _one_image(self, x: Array, coarse: Array, sigma: Array) -> Array:
    enlarged = resample(coarse, (x.shape[0], x.shape[1]))
    # Noise as on the sources in training; the same at every step.
    noise = jax.random.normal(jax.random.key(self.level), x.shape)
    padded = cascade.pad_for_sources(
      enlarged + self.sigma_aug * noise, patch_size=self.patch_size
    )

    def whole_fn(x: Array, sigma: Array, spots: full_image.Spots) -> Array:
      cond = Condition(
        level=jnp.full(len(x), self.level),
        vector=cascade.sources_at(
          padded, spots.origin[None] + spots.places, patch_size=self.patch_size
        ),
        sigma_aug=(
          jnp.full(len(x), self.sigma_aug) if self.is_told_noise else None
        ),
      )
      return self.patch_denoiser(x, sigma, cond)

    denoiser = full_image.from_whole(whole_fn, patch_size=self.patch_size)
    lifted = full_image.lift(denoiser, stride=_STRIDE)
    return enlarged + lifted((x - enlarged)[None], sigma)[0]


@with_own_settings
def make_cascade_prior(
  model: PatchModel, image: np.ndarray, *, sigma_aug: float | None = None
) -> ImagePrior:
  """The prior of an image and of a model that was trained on it.

  Args:
    model: From `applications.patches.learn_patches` with `cascade_options()`,
      trained on this image.
    image: [H, W, C] float32 in [-1, 1].
    sigma_aug: Noise level that is added to the coarser level at sampling (Ho et
      al. 2022): more hides its errors, less keeps its structure. None is the
      lowest level of the model's training. Other levels need a model that was
      trained with many, `condition.sigma_aug_max` above 0.

  Raises:
    ValueError: If the model has another distribution or another number of
      channels, or was not trained with this noise level.
  """
  options = model.options
  if options.distribution != Distributions.CASCADE:
    raise ValueError(
      '`model` must be trained with configs/cascade.py for whole images; this'
      f' one has the distribution {str(options.distribution)!r}.'
    )
  if model.image_shape[-1] != image.shape[-1]:
    raise ValueError(
      f'`image` has {image.shape[-1]} channels, but `model` was trained on an'
      f' image of {model.image_shape[-1]}.'
    )
  num_learned = model.denoiser.layout.num_levels
  images = prior_lib.build_levels(
    image, patch_size=PATCH_SIZE, num_levels=num_learned + 1
  )
  condition = options.condition
  lowest = condition.sigma_aug
  highest = max(lowest, condition.sigma_aug_max)
  sigma_aug = lowest if sigma_aug is None else sigma_aug
  arrays.check_in_range('sigma_aug', sigma_aug, lowest, highest)
  denoisers = [
    CascadeDenoiser(
      model.denoiser,
      jnp.float32(sigma_aug),
      level,
      options.patch_size,
      is_told_noise=highest > lowest,
    )
    for level in range(num_learned)
  ]
  levels = [Level(d, _SIGMA_ON_ENLARGED, _STEP_FACTOR) for d in denoisers]
  coarsest = prior_lib.closed_form_level(images[-1], patch_size=PATCH_SIZE)
  return ImagePrior(
    levels=(*levels, coarsest),
    tree=prior_lib.build_tree(images[0], patch_size=PATCH_SIZE),
    size=images[0].shape[:2],
    num_channels=images[0].shape[2],
    patch_size=PATCH_SIZE,
  )
