"""Maps how surprising each patch of a picture is to a model of patches.

  idiff-surprise --image=photo.png --out=out/
  idiff-surprise --image=photo.png --reference=other.png --out=out/
  idiff-surprise --image=photo.png --workdir=runs/photo --out=out/

The surprise of a patch is its number of bits per value, given the model: that
of the picture's other patches (each patch without those that overlap it), of
another picture, or a model that idiff-train saved to --workdir. What occurs
once is bright, what recurs is dark; the colours begin at the smallest value.
More than 8 bits are worse than no model of 8-bit values. Writes surprise.png,
surprise.npz (`bits` [H, W], NaN at the border), index.html and report.json.
With several pictures, each has its own folder.
"""

import dataclasses
from typing import Any

import jax
import numpy as np
from absl import flags

from internal_diffusion import arrays, figures, files
from internal_diffusion.applications.patches import (
  PatchModel,
  Surprise,
  model_surprise_map,
  surprise_map,
)
from internal_diffusion.bin import command, common_flags, option_flags
from internal_diffusion.bin.results import Results
from internal_diffusion.data import image_io
from internal_diffusion.training import model_files

_MAX_SIGMA = 100.0  # Far above all patches, which lie in [-1, 1].


@dataclasses.dataclass(frozen=True)
class SurpriseOptions:
  """Options of a map of surprise.

  Attributes:
    patch_size: Side of a patch in pixels, odd; that of the model with
      --workdir.
    sigma: Noise level that smooths the density, in units of [-1, 1]; chosen by
      the likelihood if it is left out.
    max_side: Longest side of the picture in pixels; larger ones are downscaled.
  """

  patch_size: int = 7
  sigma: float | None = None
  max_side: int = 250

  def __post_init__(self) -> None:
    """Checks the options."""
    arrays.check_odd('patch_size', self.patch_size)
    arrays.check_positive_int('max_side', self.max_side)
    if self.sigma is not None:
      arrays.check_in_range('sigma', self.sigma, 0, _MAX_SIGMA, open_low=True)


_NAME = 'idiff-surprise'
_FLAGS = flags.FlagValues()
common_flags.define(_FLAGS, 'image', 'out')
option_flags.define_path(
  _FLAGS,
  'reference',
  None,
  'Picture that the model knows. By default each picture itself.',
)
common_flags.define(_FLAGS, 'workdir', 'seed', 'overwrite', 'scheduler')
option_flags.define(_FLAGS, SurpriseOptions)


def main() -> None:
  """Reads, maps, writes."""
  options = option_flags.read(_FLAGS, SurpriseOptions)
  if _FLAGS.reference is not None and _FLAGS.workdir is not None:
    raise ValueError('Give `reference` or `workdir`, not both.')
  model = None
  if _FLAGS.workdir is not None:
    model = model_files.load(_FLAGS.workdir, PatchModel)
  command.for_each_input(
    _FLAGS,
    lambda results: _map(results, options, model),
    name=_NAME,
    settings={**dataclasses.asdict(options), 'workdir': _FLAGS.workdir},
    outputs=('surprise.png', 'surprise.npz'),
    also_read=[_FLAGS.reference],
  )


def _map(
  results: Results, options: SurpriseOptions, model: PatchModel | None
) -> dict[str, Any]:
  (path,) = results.inputs
  image = image_io.read_image(
    path,
    channels=None if model is None else model.image_shape[-1],
    max_side=options.max_side,
  )
  found = _surprise(image, options, model)
  files.write_npz(results.path('surprise.npz'), found._asdict())
  inside = found.bits[np.isfinite(found.bits)].clip(0)
  # A flat map is dark.
  ends = float(inside.min()), max(float(inside.max()), float(inside.min()) + 1)
  figures.write_or_warn(
    results.picture(
      'surprise.png',
      'The picture, and the surprise of the patch at each pixel.',
    ),
    figures.heat_maps,
    {'surprise': np.maximum(found.bits, 0)},
    low=ends[0],
    high=ends[1],
    title=path.name,
    label='bits per value',
    image=image,
  )
  results.summary = 'a map'
  inside = found.bits[np.isfinite(found.bits)]
  return {
    'mean_bits': float(inside.mean()),
    'median_bits': float(np.median(inside)),
    'highest_bits': float(inside.max()),
    'sigma': found.sigma,
  }


def _surprise(
  image: np.ndarray, options: SurpriseOptions, model: PatchModel | None
) -> Surprise:
  if model is not None:
    return model_surprise_map(jax.random.key(_FLAGS.seed), model, image)
  reference = None
  if _FLAGS.reference is not None:
    reference = image_io.read_image(
      _FLAGS.reference, channels=image.shape[-1], max_side=options.max_side
    )
  return surprise_map(
    image,
    reference=reference,
    patch_size=options.patch_size,
    sigma=options.sigma,
  )


def run() -> None:
  """Entry point."""
  command.run(main, _FLAGS, name=_NAME, doc=__doc__ or '')


if __name__ == '__main__':
  run()
