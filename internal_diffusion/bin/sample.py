"""Draws new patches from a trained model.

  idiff-sample --workdir=runs/photo --num_samples=1024 --out=out/

Writes samples.npz (`patches` [N, P, P, C] in [-1, 1], `level` [N], and
`level_sizes` [L, 2], the height and width of each pyramid level), samples.png,
denoising.png (a few patches from noise to clean), index.html and report.json.
"""

import dataclasses
from typing import Any

import jax
import numpy as np
from absl import flags

from internal_diffusion import arrays, figures, files
from internal_diffusion.applications.patches import (
  PatchModel,
  evaluation,
  inference,
)
from internal_diffusion.bin import command, common_flags, option_flags
from internal_diffusion.bin.results import Results
from internal_diffusion.data import image_io
from internal_diffusion.options import rare, replace
from internal_diffusion.training import model_files


@dataclasses.dataclass(frozen=True)
class SampleOptions:
  """How patches are drawn.

  Attributes:
    num_samples: Number of patches.
    num_steps: Number of Heun steps; the model's own if it is left out.
    s_churn: Total churn over all steps; the model's own if it is left out.
    chunk_size: Number of patches on the device at once.
  """

  num_samples: int = 1024
  num_steps: int | None = None
  s_churn: float | None = rare(None)
  chunk_size: int = rare(1024)

  def __post_init__(self) -> None:
    """Checks the fields."""
    arrays.check_positive_int('num_samples', self.num_samples)
    arrays.check_positive_int('chunk_size', self.chunk_size)


_NAME = 'idiff-sample'
_FLAGS = flags.FlagValues()
common_flags.define(_FLAGS, 'workdir', 'out', 'seed', 'overwrite')
option_flags.define(_FLAGS, SampleOptions)


def main() -> None:
  """Loads the model, draws, writes."""
  command.require(workdir=_FLAGS.workdir)
  options = option_flags.read(_FLAGS, SampleOptions)
  model = _with_sampling(model_files.load(_FLAGS.workdir, PatchModel), options)
  command.for_each_input(
    _FLAGS,
    lambda results: sample_to(
      results,
      model,
      num_samples=options.num_samples,
      seed=_FLAGS.seed,
      chunk_size=options.chunk_size,
    ),
    name=_NAME,
    settings={**dataclasses.asdict(options), 'workdir': _FLAGS.workdir},
    outputs=('samples.npz', 'samples.png', 'denoising.png'),
    given={'samples': ()},
  )


def _with_sampling(model: PatchModel, options: SampleOptions) -> PatchModel:
  """The model with the sampling options that are given."""
  given = {'num_steps': options.num_steps, 's_churn': options.s_churn}
  changes = {k: v for k, v in given.items() if v is not None}
  return dataclasses.replace(
    model, options=replace(model.options, sampling=changes)
  )


def sample_to(
  results: Results,
  model: PatchModel,
  *,
  num_samples: int,
  seed: int,
  chunk_size: int = 1024,
) -> dict[str, Any]:
  """Draws patches, writes them with pictures, and returns the figures."""
  key = jax.random.key(seed)
  found = inference.sample_patches(
    key, model, num=num_samples, chunk_size=chunk_size, progress=True
  )
  seconds = results.lap('sampling')
  samples = evaluation.Samples(
    found.patches, found.level, np.array(model.level_sizes)
  )
  files.write_npz(results.path('samples.npz'), samples._asdict())
  image_io.write_grid(
    results.picture('samples.png', 'Generated patches.'),
    found.patches[:1024],
    zoom=3,
  )
  states, sigmas = inference.denoising_states(key, model, num=6)
  figures.write_or_warn(
    results.picture('denoising.png', 'Six patches, from noise to clean.'),
    figures.denoising_strip,
    states,
    sigmas,
  )
  results.summary = f'{num_samples} patches'
  return {
    'num_samples': num_samples,
    'patches_per_second': num_samples / max(seconds, 1e-9),
    'num_steps': model.options.sampling.num_steps,
  }


def run() -> None:
  """Entry point."""
  command.run(main, _FLAGS, name=_NAME, doc=__doc__ or '')


if __name__ == '__main__':
  run()
