"""Repeats the experiments of the talk and checks them against exact answers.

  idiff-reproduce --experiment=checkerboard --out=out/
  idiff-reproduce --experiment=all --out=out/

Each experiment trains its models from scratch. Writes its figures, index.html,
report.json and samples.npz, which holds the raw draws and the exact answers.
--photographs=a.png,b.png gives the experiment `convolutional` photographs of
your own.
All experiments take some tens of minutes on two CPU cores, and each has a
folder of its own. --effort=0.1 is quick, but its numbers mean little.
"""

import dataclasses
import enum
from collections.abc import Callable, Mapping
from typing import Any

import jax
from absl import flags

from internal_diffusion import arrays, figures, files
from internal_diffusion.bin import command, common_flags, inputs, option_flags
from internal_diffusion.bin.results import Results
from internal_diffusion.data import image_io
from internal_diffusion.experiments import (
  bridges,
  cascade_noise,
  checkerboard,
  circle,
  consistency,
  convolutional,
  digits,
  guidance,
  inversion,
  kernel_equivalence,
  latent,
  level_guidance,
  likelihood,
  memorization_1d,
  moving_texture,
  moving_triangle,
  one_to_many,
  photograph_patches,
  samplers,
  score_model,
)
from internal_diffusion.experiments.result import Result

EXPERIMENTS: dict[str, Callable[..., Result]] = {
  'patches': photograph_patches.run,
  'half_scale_grey': one_to_many.half_scale_grey,
  'displaced_texture': one_to_many.displaced_texture,
  'checkerboard': checkerboard.run,
  'moving_triangle': moving_triangle.run,
  'moving_texture': moving_texture.run,
  'memorization_1d': memorization_1d.run,
  'circle': circle.run,
  'kernel_equivalence': kernel_equivalence.run,
  'score_model': score_model.run,
  'likelihood': likelihood.run,
  'guidance': guidance.run,
  'level_guidance': level_guidance.run,
  'cascade_noise': cascade_noise.run,
  'consistency': consistency.run,
  'bridges': bridges.run,
  'latent': latent.run,
  'digits': digits.run,
  'inversion': inversion.run,
  'convolutional': convolutional.run,
  'samplers': samplers.run,
}
# mypy knows enumerations of literal names only.
Experiment = enum.StrEnum(  # type: ignore[misc]
  'Experiment', {name.upper(): name for name in (*EXPERIMENTS, 'all')}
)


@dataclasses.dataclass(frozen=True)
class ReproduceOptions:
  """Options of the experiments.

  Attributes:
    experiment: Experiment to run.
    effort: Number of training steps and samples, relative to the full
      experiment, in (0, 10].
  """

  experiment: Experiment
  effort: float = 1.0

  def __post_init__(self) -> None:
    """Checks the options."""
    arrays.check_in_range('effort', self.effort, 0, 10, open_low=True)


_NAME = 'idiff-reproduce'
_MARKS = {True: 'met', False: 'missed', None: ''}
_FLAGS = flags.FlagValues()
option_flags.define(_FLAGS, ReproduceOptions)
option_flags.define_paths(
  _FLAGS,
  'photographs',
  'Photographs of the experiment `convolutional`, with commas between; by'
  ' default three of scikit-image.',
)
common_flags.define(_FLAGS, 'out', 'seed', 'overwrite')


def main() -> None:
  """Runs experiments, each into a folder of its own."""
  options = option_flags.read(_FLAGS, ReproduceOptions)
  names = [str(options.experiment)]
  if names == ['all']:
    names = list(EXPERIMENTS)
  paths = inputs.find_pictures(_FLAGS.photographs)
  if paths and names != ['convolutional']:
    raise ValueError(
      '`photographs` are for `experiment=convolutional` alone, got'
      f' {str(options.experiment)!r}.'
    )
  # Read now, so that a wrong file ends the command before any work.
  photographs = {
    name: image_io.read_image(path)
    for name, path in zip(inputs.unique_names(paths), paths, strict=True)
  }
  more = {'photographs': photographs} if photographs else {}
  marks: list[bool | None] = []
  command.for_each_input(
    _FLAGS,
    lambda results: _reproduce(results, options.effort, marks, more),
    name=_NAME,
    settings=options,
    outputs=('*.png', 'samples.npz'),
    given=dict.fromkeys(names, paths),
  )
  num_goals = len(marks) - marks.count(None)
  print(f'{_NAME}: {marks.count(True)} of {num_goals} goals met')


def _reproduce(
  results: Results,
  effort: float,
  marks: list[bool | None],
  more: Mapping[str, Any],
) -> dict[str, Any]:
  print(f'{_NAME}: {results.name}')
  result = EXPERIMENTS[results.name](
    _FLAGS.seed, effort=effort, progress=True, **more
  )
  measured = {
    name: {'value': m.value, 'goal': m.goal, 'met': m.is_met}
    for name, m in result.measures.items()
  }
  files.write_npz(results.path('samples.npz'), result.samples)
  for name, (draw, caption) in result.pictures.items():
    figures.write_or_warn(results.picture(f'{name}.png', caption), draw)
  results.title = f'{results.name}, against exact answers'
  results.table = {
    name: {
      'value': f'{m.value:.3f}',
      'goal': m.goal,
      'result': _MARKS[m.is_met],
    }
    for name, m in result.measures.items()
  }
  marks += [m.is_met for m in result.measures.values()]
  # A process may have 65530 memory maps on Linux. Each compiled function takes
  # several, all experiments together more, and XLA would abort.
  jax.clear_caches()
  return measured


def run() -> None:
  """Entry point."""
  command.run(main, _FLAGS, name=_NAME, doc=__doc__ or '')


if __name__ == '__main__':
  run()
