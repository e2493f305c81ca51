"""Says how alike generated patches, or images, are to a photograph.

  idiff-evaluate --reference=photo.png --generated=out/samples.npz --out=out/
  idiff-evaluate --reference=photo.png --generated='out/*.png'

Of samples.npz it compares the patches with real ones of the same pyramid
levels: classifier two-sample accuracy, sliced Wasserstein distance, MMD,
variance along principal components, copies, each beside the same figure of real
patches against real. Of images it gives PSNR and SSIM. Writes report.json, and
for patches comparison.png and variance.png.
"""

import glob
import pathlib
import time
from typing import Any

import jax
import numpy as np
from absl import flags

from internal_diffusion import arrays, figures, report
from internal_diffusion.applications import patch_evaluation
from internal_diffusion.bin import command
from internal_diffusion.data import image_io
from internal_diffusion.evaluation import distances, fidelity, patch_report

_NAME = 'idiff-evaluate'
_FLAGS = flags.FlagValues()
_REFERENCE = flags.DEFINE_string(
  'reference', '', 'The photograph.', flag_values=_FLAGS
)
_GENERATED = flags.DEFINE_string(
  'generated',
  '',
  'A samples.npz of idiff-sample, or images; may hold * and ?.',
  flag_values=_FLAGS,
)
_OUT = flags.DEFINE_string(
  'out', 'out', 'Folder to write to.', flag_values=_FLAGS
)
_SEED = flags.DEFINE_integer(
  'seed', 0, 'Seed of splits and projections.', flag_values=_FLAGS
)
_MAX_PATCHES = flags.DEFINE_integer(
  'max_patches', 4096, 'How many patches are compared.', flag_values=_FLAGS
)


def main() -> None:
  """Compares, writes, prints."""
  command.require(reference=_REFERENCE.value, generated=_GENERATED.value)
  paths = [pathlib.Path(p) for p in sorted(glob.glob(_GENERATED.value))]
  if not paths:
    raise FileNotFoundError(f'There is no file `{_GENERATED.value}`.')
  command.check_seed(_SEED.value)
  arrays.check_positive_int('max_patches', _MAX_PATCHES.value)
  start = time.monotonic()
  if any(path.suffix == '.npz' for path in paths):
    if len(paths) > 1:
      raise ValueError(
        f'One samples.npz at a time, or images; `{_GENERATED.value}` are'
        f' {len(paths)} files.'
      )
    samples = patch_evaluation.read_samples(paths[0])
    image = image_io.read_image(
      _REFERENCE.value, channels=samples.patches.shape[-1]
    )
    directory = command.output_dir(_OUT.value)
    evaluated = evaluate_patches(
      directory,
      samples,
      image,
      seed=_SEED.value,
      max_patches=_MAX_PATCHES.value,
    )
  else:
    evaluated = evaluate_images(paths, _REFERENCE.value)
    directory = command.output_dir(_OUT.value)
  report.write_report(
    directory,
    figures=evaluated,
    settings={
      'reference': _REFERENCE.value,
      'generated': [str(path) for path in paths],
      'max_patches': _MAX_PATCHES.value,
    },
    seed=_SEED.value,
    seconds={'run': time.monotonic() - start},
  )
  print(report.to_json(evaluated), end='')


def evaluate_images(
  paths: list[pathlib.Path], reference: str
) -> dict[str, dict[str, float]]:
  """PSNR and SSIM of images of the reference's size, by file name."""
  truth = image_io.read_image(reference)
  evaluated = {}
  for path in paths:
    image = image_io.read_image(path)
    evaluated[str(path)] = {
      'psnr_db': fidelity.psnr(image, truth),
      'ssim': fidelity.ssim(image, truth),
    }
  return evaluated


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
  figures.write_patch_comparison(
    directory / 'comparison.png',
    generated[:256],
    real.first[:256],
    title=f'{generated.shape[1]}x{generated.shape[2]} patches of all levels',
  )
  figures.write_variance_ratios(
    directory / 'variance.png',
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
