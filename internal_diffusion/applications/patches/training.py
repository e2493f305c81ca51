"""Learning a model of an image's patches."""

import os

import flax.struct
import jax
import numpy as np

from internal_diffusion import options as options_lib
from internal_diffusion.applications.patches.examples import (
  image_examples,
  level_sizes,
)
from internal_diffusion.applications.patches.options import (
  PatchOptions,
  patch_options,
)
from internal_diffusion.denoisers.learned import LearnedDenoiser
from internal_diffusion.jax_settings import with_own_settings
from internal_diffusion.training import model_files
from internal_diffusion.training.denoising import fit_denoiser
from internal_diffusion.training.fit import Fitted
from internal_diffusion.training.run_folder import array_digest
from internal_diffusion.types import Condition, static

Array = jax.Array


@flax.struct.dataclass
class PatchModel:
  """A model of the patches of one image: a denoiser of vectors.

  Attributes:
    denoiser: The learned denoiser.
    options: Options of its training and sampling.
    image_shape: (H, W, C) of the image, or (T, H, W, C) of the clip.
    level_sizes: (height, width) of each pyramid level, finest first; of a clip
      (length, height, width).
  """

  denoiser: LearnedDenoiser
  options: PatchOptions = static()
  image_shape: tuple[int, ...] = static()
  level_sizes: tuple[tuple[int, ...], ...] = static()

  def __call__(
    self, x: Array, sigma: Array, cond: Condition | None = None
  ) -> Array:
    """Denoises vectors x [B, D]; see `Denoiser`."""
    return self.denoiser(x, sigma, cond)


@with_own_settings
def train_patches(
  image: np.ndarray,
  options: PatchOptions,
  workdir: str | os.PathLike | None,
  *,
  progress: bool = False,
) -> Fitted[PatchModel]:
  """`learn_patches`, with the run's figures.

  A model in a folder is saved also where a signal stops the run.
  """
  fitted = fit_denoiser(
    image_examples(image, options),
    options,
    run_dir=workdir,
    settings={
      **options_lib.to_dict(options),
      'image_shape': list(image.shape),
      'image_digest': array_digest(image),
    },
    progress=progress,
  )
  *length, height, width, _ = image.shape
  sizes = tuple(
    (*length, *size) for size in level_sizes(height, width, options)
  )
  model = PatchModel(fitted.model, options, tuple(image.shape), sizes)
  if workdir is not None:
    model_files.save(workdir, model, options=options)
  return Fitted(model, *fitted[1:])


@with_own_settings
def learn_patches(
  image: np.ndarray,
  options: PatchOptions | None = None,
  *,
  workdir: str | os.PathLike | None = None,
  progress: bool = False,
) -> PatchModel:
  """Learns a model of the patches of an image.

  Args:
    image: [H, W, C] float32 in [-1, 1], or a clip [T, H, W, C], whose options
      have `triplet.time`.
    options: Options of the model; None is p(patch) with its defaults, about
      three minutes on two CPU cores.
    workdir: Folder to save the model and the run's checkpoints in; an
      unfinished run in it continues. None trains in memory.
    progress: Whether to show a progress bar.

  Raises:
    ValueError: If the image or an option is not usable, or the folder belongs
      to another run.
    OSError: If the folder cannot be written.
    NonFiniteLossError: If the loss is no longer finite.
  """
  options = patch_options() if options is None else options
  return train_patches(image, options, workdir, progress=progress).model
