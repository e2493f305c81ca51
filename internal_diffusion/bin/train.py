r"""Trains a diffusion model on one photograph.

  idiff-train --config=patch --config.image=photo.png --workdir=runs/photo

Built-in configurations: patch, target_given_source, delta_given_pair, joint,
cascade. Any field can be set, as in --config.network.width=256 or
--config.max_minutes=3. Ctrl-C and SIGTERM save the run and end it; the same
command continues it. The workdir holds the model, checkpoints, metrics.jsonl,
TensorBoard events, loss.png and report.json.
"""

import pathlib
import sys

import jax
from absl import flags
from ml_collections import config_flags

from internal_diffusion import configs, figures, report
from internal_diffusion import options as options_lib
from internal_diffusion.applications.patches import PatchOptions
from internal_diffusion.applications.patches.training import train_patches
from internal_diffusion.bin import command, common_flags, messages, option_flags
from internal_diffusion.configs import default
from internal_diffusion.data import image_io
from internal_diffusion.training import metrics, processes

_NAME = 'idiff-train'
_FLAGS = flags.FlagValues()
_CONFIG = config_flags.DEFINE_config_file(
  'config',
  None,
  'Configuration: a built-in name or a file; patch if it is left out.'
  ' --config.FIELD=VALUE sets a field of it.',
  flag_values=_FLAGS,
)
common_flags.define(_FLAGS, 'workdir')
option_flags.define_rare(
  _FLAGS,
  'coordinator',
  'Training on several hosts: address of the first process, host:port, or'
  ' auto, where JAX finds all three in the environment.',
)
option_flags.define_rare(
  _FLAGS, 'num_processes', 'Number of processes of such a run.', default=0
)
option_flags.define_rare(
  _FLAGS,
  'process_id',
  'Number of this process of such a run, from 0.',
  default=-1,
)


def _join_processes() -> None:
  """Joins the other processes of a training on several hosts, if any."""
  coordinator, num = _FLAGS.coordinator, _FLAGS.num_processes
  if coordinator is None:
    if num > 0 or _FLAGS.process_id >= 0:
      raise ValueError('`num_processes` and `process_id` need `coordinator`.')
    return
  if coordinator == 'auto':
    processes.start()
  elif ':' not in coordinator:
    raise ValueError(
      f'`coordinator` must be host:port or auto, got {coordinator!r}.'
    )
  elif not 0 <= _FLAGS.process_id < num:
    raise ValueError(
      '`process_id` must be from 0 to `num_processes` - 1, got'
      f' {_FLAGS.process_id} of {num}.'
    )
  else:
    processes.start(
      coordinator=coordinator,
      num_processes=num,
      process_id=_FLAGS.process_id,
    )
  if processes.is_first():
    # If JAX ends a process that waits for a lost one, it has no last word.
    print(
      f'{_NAME}: {jax.process_count()} processes, {jax.device_count()} devices.'
      ' If one is lost, all end; the same commands continue the run.',
      file=sys.stderr,
    )


def main() -> None:
  """Reads the image, trains, writes the report."""
  config = _CONFIG.value
  command.require(workdir=_FLAGS.workdir, **{'config.image': config.image})
  options = default.to_options(config)
  image = image_io.read_image(
    config.image,
    channels=config.channels or None,
    max_side=config.max_side or None,
  )
  directory = command.output_dir(_FLAGS.workdir)
  fitted = train_patches(image, options, directory, progress=True)
  if not processes.is_first():
    return
  report.write_report(
    directory,
    command=_NAME,
    figures={
      'loss': fitted.loss,
      'step': fitted.step,
      'patches_per_second': fitted.examples_per_second,
      'interrupted': fitted.interrupted,
    },
    settings=config.to_dict(),
    seed=config.seed,
    seconds=fitted.seconds,
  )
  figures.write_or_warn(
    directory / 'loss.png', figures.loss_curve, metrics.read_metrics(directory)
  )
  if fitted.interrupted:
    print(
      f'{_NAME}: stopped at step {fitted.step} and saved; the same command'
      ' continues the run.'
    )
  else:
    print(f'{_NAME}: {fitted.step} steps in {directory}')


def _fields(options: object, prefix: str = '--config.') -> list[str]:
  """Every field of the options with its default and description."""
  lines = []
  values = options_lib.to_dict(options)
  for name, text in options_lib.descriptions(type(options)).items():
    value = values[name]
    if isinstance(value, dict):
      lines += _fields(getattr(options, name), f'{prefix}{name}.')
    else:
      lines += [f'  {prefix}{name}={value}', *messages.wrapped(text)]
  return lines


def run() -> None:
  """Entry point."""
  fields = [
    *_fields(PatchOptions()),
    '  --config.image=PATH',
    '      Path of the photograph; must be given.',
    '  --config.max_side=250',
    '      Bound on the longest side of the photograph in pixels; 0 is none.',
    '  --config.channels=0',
    '      Channels of the photograph: 3 is RGB, 1 is grey, 0 as in the file.',
  ]
  command.run(
    main,
    _FLAGS,
    name=_NAME,
    doc='\n'.join([__doc__ or '', 'Fields and their defaults:', *fields]),
    default_config=pathlib.Path(configs.__file__).parent / 'patch.py',
    before=_join_processes,
  )


if __name__ == '__main__':
  run()
