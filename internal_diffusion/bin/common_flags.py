"""Flags that mean the same in every command."""

from absl import flags

from internal_diffusion.bin import option_flags

MAX_PIXELS = 'max_pixels'


def define(values: flags.FlagValues, *names: str) -> None:
  """Defines some of the common flags.

  Args:
    values: Flags of a command to add to.
    *names: Of `image`, `frames`, `out`, `workdir`, `seed`, `overwrite` and
      `scheduler`, in the order in which `--help` lists them.
  """
  for name in names:
    match name:
      case 'image':
        option_flags.define_paths(
          values,
          name,
          'Images: names, patterns with * and ? in quotes, or folders, with'
          ' commas between.',
        )
        _define_max_pixels(values)
      case 'frames':
        option_flags.define_paths(
          values,
          name,
          'Two frames or more, in their order: names, patterns with * and ? in'
          ' quotes, or folders, with commas between.',
        )
        _define_max_pixels(values)
      case 'out':
        option_flags.define_path(
          values, name, 'out', 'Folder of the results; made if there is none.'
        )
      case 'workdir':
        option_flags.define_path(
          values,
          name,
          None,
          'Folder of a trained model. A model in it is used, so that nothing is'
          ' trained; a new one is saved to it.',
        )
      case 'seed':
        flags.DEFINE_integer(
          name, 0, 'Seed of everything random.', flag_values=values
        )
      case 'overwrite':
        flags.DEFINE_boolean(
          name,
          False,
          'Replace the results of another run in the output folder.',
          flag_values=values,
        )
      case 'scheduler':
        option_flags.define_rare(
          values,
          name,
          'Address of the scheduler of a Dask cluster, as in tcp://host:8786:'
          ' its workers process the pictures. They must see the same files.',
        )
      case _:
        raise ValueError(f'There is no common flag {name!r}.')


def _define_max_pixels(values: flags.FlagValues) -> None:
  # Late: commands that read no picture start sooner.
  from internal_diffusion.data import image_decoding

  option_flags.define_rare(
    values,
    MAX_PIXELS,
    'Number of pixels above which a picture is refused.',
    default=image_decoding.MAX_PIXELS,
  )
