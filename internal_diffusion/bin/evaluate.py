"""Says how alike generated patches, or images, are to a photograph.

  idiff-evaluate --reference=photo.png --generated=out/samples.npz --out=out/
  idiff-evaluate --reference=photo.png --generated='out/sample_*.png' --out=out/

Of samples.npz it compares the patches with real ones of the same pyramid
levels: classifier two-sample accuracy, sliced Wasserstein distance, MMD,
variance along principal components, copies, each beside the same figure of real
patches against real. Writes report.json, comparison.png and variance.png.

Of images, of any size, it compares all patches with all of the photograph:
sliced Wasserstein distance, coherence, completeness, detail, copied share, and
for several of one size their diversity; PSNR and SSIM of those of the
photograph's size. Values go from -1 to 1. Writes report.json, and on standard
error a table.
"""

import pathlib
import sys
import time
from typing import Any

import jax
import numpy as np
from absl import flags

from internal_diffusion import arrays, figures, report
from internal_diffusion.applications import patch_evaluation
from internal_diffusion.bin import command
from internal_diffusion.data import image_io
from internal_diffusion.evaluation import (
  distances,
  fidelity,
  image_report,
  patch_report,
)

_NAME = 'idiff-evaluate'
_FLAGS = flags.FlagValues()
_REFERENCE = flags.DEFINE_string(
  'reference', '', 'The photograph.', flag_values=_FLAGS
)
_GENERATED = flags.DEFINE_list(
  'generated',
  [],
  'A samples.npz of idiff-sample, or images, with commas between; may hold *'
  ' and ?, then in quotes.',
  flag_values=_FLAGS,
)
_OUT = flags.DEFINE_string(
  'out', 'out', 'Folder to write to.', flag_values=_FLAGS
)
_SEED = flags.DEFINE_integer(
  'seed', 0, 'Seed of splits and projections.', flag_values=_FLAGS
)
_MAX_PATCHES = flags.DEFINE_integer(
  'max_patches',
  4096,
  'How many patches of a samples.npz are compared.',
  flag_values=_FLAGS,
)
_PATCH_SIZE = flags.DEFINE_integer(
  'patch_size', 7, 'Side of the patches of images, odd.', flag_values=_FLAGS
)
_QUERY_STRIDE = flags.DEFINE_integer(
  'query_stride',
  3,
  'Of how many patches of an image one looks for its nearest; more is faster.',
  flag_values=_FLAGS,
)
# What each figure of images would be for the photograph itself.
_PERFECT = {
  'sliced_wasserstein': 0.0,
  'coherence': 0.0,
  'completeness': 0.0,
  'detail_level_0': 1.0,
  'detail_level_1': 1.0,
  'detail_level_2': 1.0,
  'copied_share': 1.0,
  'psnr_db': float('inf'),
  'ssim': 1.0,
  'pixel_diversity': 0.0,
  'neighbour_diversity': 0.0,
}


def main() -> None:
  """Compares, writes, prints."""
  command.require(reference=_REFERENCE.value, generated=_GENERATED.value)
  paths = command.find_files(_GENERATED.value)
  command.check_seed(_SEED.value)
  for flag in (_MAX_PATCHES, _PATCH_SIZE, _QUERY_STRIDE):
    arrays.check_positive_int(flag.name, flag.value)
  start = time.monotonic()
  is_samples = any(path.suffix == '.npz' for path in paths)
  evaluate = _evaluate_samples if is_samples else _evaluate_pictures
  evaluated, options = evaluate(paths)
  report.write_report(
    _OUT.value,
    figures=evaluated,
    settings={
      'reference': _REFERENCE.value,
      'generated': [str(path) for path in paths],
      **options,
    },
    seed=_SEED.value,
    seconds={'run': time.monotonic() - start},
  )
  print(report.to_json(evaluated), end='', flush=True)
  if not is_samples:
    # The figures are for programs, the table for the person who waits.
    print(format_table(evaluated), file=sys.stderr)


def _evaluate_samples(paths: list[pathlib.Path]) -> tuple[dict, dict]:
  """Figures of a samples.npz, and the options that they depend on."""
  if len(paths) > 1:
    raise ValueError(
      'One samples.npz at a time, or images;'
      f' `{",".join(_GENERATED.value)}` are {len(paths)} files.'
    )
  samples = patch_evaluation.read_samples(paths[0])
  image = image_io.read_image(
    _REFERENCE.value, channels=samples.patches.shape[-1]
  )
  evaluated = evaluate_patches(
    command.output_dir(_OUT.value),
    samples,
    image,
    seed=_SEED.value,
    max_patches=_MAX_PATCHES.value,
  )
  return evaluated, {'max_patches': _MAX_PATCHES.value}


def _evaluate_pictures(paths: list[pathlib.Path]) -> tuple[dict, dict]:
  """Figures of images, and the options that they depend on."""
  reference = image_io.read_image(_REFERENCE.value)
  images = {str(path): image_io.read_image(path) for path in paths}
  options = {
    'patch_size': _PATCH_SIZE.value,
    'query_stride': _QUERY_STRIDE.value,
  }
  command.output_dir(_OUT.value)
  evaluated = evaluate_images(images, reference, seed=_SEED.value, **options)
  return evaluated, options


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
  """What `evaluate_images` found as text: one row a figure."""
  together = ('mean', 'pixel_diversity', 'neighbour_diversity')
  images = [x for name, x in evaluated.items() if name not in together]
  rows = [['', 'mean', 'lowest', 'highest', 'of the photograph itself']]
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
  directory: pathlib.Path,
  samples: patch_evaluation.Samples,
  image: np.ndarray,
  *,
  seed: int,
  max_patches: int,
) -> dict[str, Any]:
  """Compares a samples.npz with its photograph and draws the figures."""
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
    directory / 'comparison.png',
    figures.patch_comparison,
    generated[:256],
    real.first[:256],
    title=f'{generated.shape[1]}x{generated.shape[2]} patches of all levels',
  )
  figures.write_or_warn(
    directory / 'variance.png',
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
