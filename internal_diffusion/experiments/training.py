"""Training of the experiments' models, and all triplets of their images."""

from collections.abc import Sequence

import numpy as np

from internal_diffusion.applications.patches import PatchOptions
from internal_diffusion.applications.patches.examples import level_examples
from internal_diffusion.applications.patches.training import fit_denoiser
from internal_diffusion.data import triplets
from internal_diffusion.denoisers.learned import LearnedDenoiser
from internal_diffusion.training.examples import Examples
from internal_diffusion.types import PatchTriplet


def scaled(full: int, effort: float, *, at_least: int = 1) -> int:
  """The number of steps or samples at an effort."""
  return max(at_least, round(effort * full))


def train(
  levels: Sequence[np.ndarray], options: PatchOptions, *, progress: bool
) -> tuple[LearnedDenoiser, Examples]:
  """Trains on pyramid levels [h, w, C], finest first."""
  examples = level_examples(levels, options)
  fitted = fit_denoiser(examples, options, progress=progress)
  return fitted.model, examples


def all_triplets(examples: Examples, options: PatchOptions) -> PatchTriplet:
  """All triplets that the model was trained on."""
  return triplets.enumerate_triplets(
    examples.data.pyramid,
    examples.data.table,
    patch_size=options.patch_size,
    displacement_range=options.triplet.displacement_range,
  )
