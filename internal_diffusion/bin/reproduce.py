"""Repeats the experiments of the talk and checks them against exact answers.

  idiff-reproduce --experiment=checkerboard --out=out/
  idiff-reproduce --experiment=all --out=out/

Each experiment trains its models from scratch and writes its figures,
samples.npz (the raw draws and the exact answers, enough to recompute them) and
report.json into a folder of its name; all of them together write index.html too
and take some tens of minutes on two CPU cores. --effort=0.1 gives a quick look,
whose numbers mean little.
"""

import io
import pathlib
import time
from collections.abc import Callable

import numpy as np
from absl import flags

from internal_diffusion import arrays, figures, files, report
from internal_diffusion.bin import command
from internal_diffusion.experiments import (
  checkerboard,
  circle,
  displaced_texture,
  half_scale_grey,
  kernel_equivalence,
  memorization_1d,
  moving_triangle,
  photograph_patches,
)
from internal_diffusion.experiments.result import Result

_NAME = 'idiff-reproduce'
EXPERIMENTS: dict[str, Callable[..., Result]] = {
  'patches': photograph_patches.run,
  'half_scale_grey': half_scale_grey.run,
  'displaced_texture': displaced_texture.run,
  'checkerboard': checkerboard.run,
  'moving_triangle': moving_triangle.run,
  'memorization_1d': memorization_1d.run,
  'circle': circle.run,
  'kernel_equivalence': kernel_equivalence.run,
}

_FLAGS = flags.FlagValues()
_EXPERIMENT = flags.DEFINE_string(
  'experiment',
  '',
  f'One of {", ".join(EXPERIMENTS)}; or all.',
  flag_values=_FLAGS,
)
_OUT = flags.DEFINE_string('out', '', 'Folder to write to.', flag_values=_FLAGS)
_SEED = flags.DEFINE_integer(
  'seed', 0, 'Seed of everything random.', flag_values=_FLAGS
)
_EFFORT = flags.DEFINE_float(
  'effort',
  1.0,
  'Share of the full number of training steps and samples, in (0, 10].',
  flag_values=_FLAGS,
)


def main() -> None:
  """Runs what was asked for and writes a page."""
  command.require(experiment=_EXPERIMENT.value, out=_OUT.value)
  command.check_seed(_SEED.value)
  arrays.check_in_range('effort', _EFFORT.value, 0, 10, open_low=True)
  names = _chosen(_EXPERIMENT.value)
  directory = command.output_dir(_OUT.value)
  results, seconds = {}, {}
  for name in names:
    print(f'{_NAME}: {name}')
    start = time.monotonic()
    results[name] = EXPERIMENTS[name](
      _SEED.value, effort=_EFFORT.value, progress=True
    )
    seconds[name] = time.monotonic() - start
    write_result(
      directory / name,
      results[name],
      seed=_SEED.value,
      effort=_EFFORT.value,
      seconds=seconds[name],
    )
  if len(names) > 1:
    _write_summary(directory, results, seconds)
  met = [m.is_met for r in results.values() for m in r.measures.values()]
  print(
    f'{_NAME}: {met.count(True)} of {len(met) - met.count(None)} goals met, in'
    f' {directory}'
  )


def _chosen(name: str) -> list[str]:
  if name == 'all':
    return list(EXPERIMENTS)
  if name not in EXPERIMENTS:
    raise ValueError(
      f'--experiment must be one of {", ".join(EXPERIMENTS)} or all, got'
      f' {name!r}.'
    )
  return [name]


def write_result(
  directory: pathlib.Path,
  result: Result,
  *,
  seed: int,
  effort: float,
  seconds: float,
) -> None:
  """Writes figures, samples.npz and report.json of one experiment."""
  directory.mkdir(parents=True, exist_ok=True)
  buffer = io.BytesIO()
  np.savez_compressed(buffer, allow_pickle=False, **result.samples)
  files.write_atomically(directory / 'samples.npz', buffer.getvalue())
  report.write_report(
    directory,
    figures={
      name: {'value': m.value, 'goal': m.goal, 'met': m.is_met}
      for name, m in result.measures.items()
    },
    settings={'effort': effort},
    seed=seed,
    seconds={'run': seconds},
  )
  for name, (figure, _) in result.pictures.items():
    figures.write_or_warn(directory / f'{name}.png', lambda f: f, figure)


def _write_summary(
  directory: pathlib.Path,
  results: dict[str, Result],
  seconds: dict[str, float],
) -> None:
  marks = {True: 'met', False: 'missed', None: ''}
  table = {
    f'{name}: {label}': {
      'value': f'{measure.value:.3f}',
      'goal': measure.goal,
      '': marks[measure.is_met],
    }
    for name, result in results.items()
    for label, measure in result.measures.items()
  }
  report.write_page(
    directory / 'index.html',
    title='The experiments, against exact answers',
    paragraphs=[
      'Every model was trained from scratch on the one image or set of points'
      f' of its experiment; all took {sum(seconds.values()) / 60:.1f} minutes.'
    ],
    pictures=[
      (f'{name}/{file}.png', f'{name}: {caption}')
      for name, result in results.items()
      for file, (_, caption) in result.pictures.items()
    ],
    table=table,
  )
  report.write_report(
    directory,
    figures={
      name: {label: m.value for label, m in result.measures.items()}
      for name, result in results.items()
    },
    settings={'effort': _EFFORT.value},
    seed=_SEED.value,
    seconds={'run': sum(seconds.values()), **seconds},
  )


def run() -> None:
  """Entry point."""
  command.run(main, _FLAGS, name=_NAME, doc=__doc__ or '')


if __name__ == '__main__':
  run()
