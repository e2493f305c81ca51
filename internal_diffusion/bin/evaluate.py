r"""Measures how alike generated patches or images are to a photograph.

  idiff-evaluate --reference=photo.png --generated=out/samples.npz --out=judged/
  idiff-evaluate --reference=photo.png --generated='out/sample_*.png' \
    --out=judged/

Compares the patches of a samples.npz with real ones of the same pyramid levels:
classifier two-sample accuracy, sliced Wasserstein distance, MMD, variance along
principal components, copies. Beside each figure is that of real patches against
other real patches. Writes report.json, comparison.png and variance.png.

Compares all patches of images, of any size, with all of the photograph: sliced
Wasserstein distance, coherence, completeness, detail, fraction of copies, and
for several images of one size their diversity; PSNR and SSIM for images of the
photograph's size. Values go from -1 to 1. Prints the figures as JSON, and a
table on standard error, and writes report.json.
"""

import dataclasses
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from absl import flags

from internal_diffusion import arrays, figures, report
from internal_diffusion.applications.patches import (
  evaluation as patch_evaluation,
)
from internal_diffusion.bin import command, common_flags, inputs, option_flags
from internal_diffusion.bin.results import Results
from internal_diffusion.data import image_io
from internal_diffusion.evaluation import (
  distances,
  fidelity,
  image_report,
  patch_report,
)
from internal_diffusion.options import rare


@dataclasses.dataclass(frozen=True)
class EvaluateOptions:
  """Options of an evaluation.

  Attributes:
    max_patches: Number of patches of a samples.npz that are compared, at most.
    patch_size: Side of the patches of images in pixels, odd.
    query_stride: Distance in pixels between the patches of an image whose
      nearest patch is looked for; more is faster.
  """

  max_patches: int = 4096
  patch_size: int = 7
  query_stride: int = rare(3)

  def __post_init__(self) -> None:
    """Checks the options."""
    for field in dataclasses.fields(self):
      arrays.check_positive_int(field.name, getattr(self, field.name))


_NAME = 'idiff-evaluate'
_FLAGS = flags.FlagValues()
option_flags.define_path(_FLAGS, 'reference', None, 'The photograph.')
option_flags.define_paths(
  _FLAGS,
  'generated',
  'A samples.npz of idiff-sample, or images: names, or patterns with * and ? in'
  ' quotes, with commas between.',
)
common_flags.define(_FLAGS, 'out', 'seed', 'overwrite')
option_flags.define(_FLAGS, EvaluateOptions)
# The figures of the photograph itself.
_PERFECT = {
  'sliced_wasserstein': 0.0,
  'coherence': 0.0,
  'completeness': 0.0,
  'detail_level_0': 1.0,
  'detail_level_1': 1.0,
  'detail_level_2': 1.0,
  'copied_fraction': 1.0,
  'psnr_db': float('inf'),
  'ssim': 1.0,
  'pixel_diversity': 0.0,
  'neighbour_diversity': 0.0,
}


def main() -> None:
  """Compares, writes, prints."""
  command.require(reference=_FLAGS.reference, generated=_FLAGS.generated)
  options = option_flags.read(_FLAGS, EvaluateOptions)
  paths = inputs.find_files(_FLAGS.generated)
  command.for_each_input(
    _FLAGS,
    lambda results: _evaluate(results, options),
    name=_NAME,
    settings=options,
    outputs=('comparison.png', 'variance.png'),
    given={'': paths},
    also_read=[_FLAGS.reference],
  )


def _evaluate(results: Results, options: EvaluateOptions) -> dict[str, Any]:
  results.summary = ''  # The figures are printed instead.
  if not any(path.suffix == '.npz' for path in results.inputs):
    evaluated = _evaluate_pictures(results.inputs, options)
    # The figures are for programs, the table for a person.
    print(report.to_json(evaluated), end='')
    print(format_table(evaluated), file=sys.stderr)
    return evaluated
  if len(results.inputs) > 1:
    raise ValueError(
      '`generated` must be one samples.npz, or images, got'
      f' {len(results.inputs)} files: {", ".join(map(str, results.inputs))}.'
    )
  samples = patch_evaluation.read_samples(results.inputs[0])
  image = image_io.read_image(
    _FLAGS.reference, channels=samples.patches.shape[-1]
  )
  evaluated = evaluate_patches(
    results, samples, image, seed=_FLAGS.seed, max_patches=options.max_patches
  )
  print(report.to_json(evaluated), end='')
  return evaluated


def _evaluate_pictures(
  paths: Sequence[pathlib.Path], options: EvaluateOptions
) -> dict[str, Any]:
  return evaluate_images(
    {str(path): image_io.read_image(path) for path in paths},
    image_io.read_image(_FLAGS.reference),
    seed=_FLAGS.seed,
    patch_size=options.patch_size,
    query_stride=options.query_stride,
  )


def evaluate_images(
  images: dict[str, np.ndarray],
  reference: np.ndarray,
  *,
  seed: int,
  patch_size: int,
  query_stride: int,
) -> dict[str, Any]:
  """Compares images with the photograph.

  Returns:
    The figures of each image by its name, their `mean`, and the diversities.
  """
  compared = image_report.compare_images(
    jax.random.key(seed),
    list(images.values()),
    reference,
    patch_size=patch_size,
    query_stride=query_stride,
    progress=True,
  )
  by_name = dict(zip(images, compared.pop('images'), strict=True))
  for name, image in images.items():
    if image.shape == reference.shape:
      by_name[name]['psnr_db'] = fidelity.psnr(image, reference)
      by_name[name]['ssim'] = fidelity.ssim(image, reference)
  return {**by_name, **compared}


def format_table(evaluated: dict[str, Any]) -> str:
  """Table of the figures of `evaluate_images`, one row for each."""
  together = ('mean', 'pixel_diversity', 'neighbour_diversity')
  images = [x for name, x in evaluated.items() if name not in together]
  rows = [['', 'mean', 'lowest', 'highest', 'the photograph itself']]
  for name, perfect in _PERFECT.items():
    values = [image[name] for image in images if name in image]
    if name in evaluated:
      values = [evaluated[name]]
    if values:
      numbers = np.mean(values), min(values), max(values)
      rows.append([name, *(f'{x:.4f}' for x in numbers), f'{perfect:g}'])
  return '\n'.join(
    f'{row[0]:<20}{row[1]:>10}{row[2]:>10}{row[3]:>10}{row[4]:>27}'
    for row in rows
  )


def evaluate_patches(
  results: Results,
  samples: patch_evaluation.Samples,
  image: np.ndarray,
  *,
  seed: int,
  max_patches: int,
) -> dict[str, Any]:
  """Compares generated patches with real ones, and draws two figures.

  Args:
    results: Results to write to.
    samples: Generated patches.
    image: Photograph, [H, W, C].
    seed: Seed of splits and projections.
    max_patches: Number of patches to compare, at most.

  Returns:
    The figures of the generated patches, and those of real ones as a control.
  """
  generated = samples.patches[:max_patches]
  real_key, compare_key = jax.random.split(jax.random.key(seed))
  real = patch_evaluation.real_patches(
    real_key,
    image,
    level=samples.level[:max_patches],
    level_sizes=samples.level_sizes.tolist(),
    patch_size=generated.shape[1],
  )
  compared = patch_report.compare_patches(
    compare_key,
    generated,
    real.first,
    real.second,
    training=real.training,
    progress=True,
  )
  figures.write_or_warn(
    results.picture('comparison.png', 'Generated patches, and real ones.'),
    figures.patch_comparison,
    generated[:256],
    real.first[:256],
    title=f'{generated.shape[1]}x{generated.shape[2]} patches of all levels',
  )
  figures.write_or_warn(
    results.picture(
      'variance.png',
      'Variance of generated patches along each principal component, relative'
      ' to real patches.',
    ),
    figures.variance_ratios,
    distances.principal_variance_ratios(generated, real.first),
    distances.principal_variance_ratios(real.second, real.first),
  )
  # The ratios are in the figure; as a list they would drown the report.
  for name in ('generated', 'control'):
    compared[name].pop('variance_ratios')
  return compared


def run() -> None:
  """Entry point."""
  command.run(main, _FLAGS, name=_NAME, doc=__doc__ or '')


if __name__ == '__main__':
  run()
