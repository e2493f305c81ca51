r"""Trains a diffusion model on one photograph.

  idiff-train --config=configs/patch.py --config.image=photo.png \
    --workdir=runs/photo

Any field of configs/default.py can be set, as in --config.network.width=256 or
--config.max_minutes=3. Ctrl-C and SIGTERM save the run and leave; the same
command goes on where it stopped. The workdir holds the configuration,
checkpoints, metrics.jsonl, TensorBoard events, loss.png and report.json.
"""

import pathlib

from absl import flags
from ml_collections import config_flags

from internal_diffusion import configs, report
from internal_diffusion.bin import command
from internal_diffusion.configs import default
from internal_diffusion.data import image_io
from internal_diffusion.training import loop

_NAME = 'idiff-train'
_FLAGS = flags.FlagValues()
_CONFIG = config_flags.DEFINE_config_file(
  'config',
  None,
  'Configuration file, configs/patch.py if left out; --config.field=value sets'
  ' a field of it.',
  flag_values=_FLAGS,
)
_WORKDIR = flags.DEFINE_string(
  'workdir',
  '',
  'Folder of the run; an unfinished run in it is resumed.',
  flag_values=_FLAGS,
)


def main() -> None:
  """Reads the image, trains, writes the report."""
  config = _CONFIG.value
  command.require(workdir=_WORKDIR.value, **{'config.image': config.image})
  image = image_io.read_image(
    config.image,
    channels=config.channels or None,
    max_side=config.max_side or None,
  )
  directory = command.output_dir(_WORKDIR.value)
  result = loop.train(image, config, directory)
  report.write_report(
    directory,
    figures={
      'loss': result.loss,
      'step': result.step,
      'patches_per_second': result.patches_per_second,
      'interrupted': result.interrupted,
    },
    settings=config.to_dict(),
    seed=config.seed,
    seconds=result.seconds,
  )
  if result.interrupted:
    print(
      f'{_NAME}: stopped at step {result.step} and saved; the same command goes'
      ' on from there.'
    )
  else:
    print(f'{_NAME}: {result.step} steps in {directory}')


def _fields() -> str:
  """Every field of a configuration with its default, a line each."""
  values = default.get_config().to_dict()
  lines = []
  for name, value in values.items():
    if isinstance(value, dict):
      lines += [f'  --config.{name}.{key}={v}' for key, v in value.items()]
    else:
      lines.append(f'  --config.{name}={value}')
  return '\n'.join(lines)


def run() -> None:
  """Entry point."""
  command.run(
    main,
    _FLAGS,
    name=_NAME,
    doc=f'{__doc__}\nFields and their defaults:\n{_fields()}',
    default_config=pathlib.Path(configs.__file__).parent / 'patch.py',
  )


if __name__ == '__main__':
  run()
