"""Configuration files of the command line: where they are, what is in them."""

import os
import pathlib
import re

import ml_collections

from internal_diffusion import configs

_FOLDER = pathlib.Path(configs.__file__).parent
_FLAG = re.compile(r'--?config(=|$)')


def config_first(arguments: list[str], default: pathlib.Path) -> list[str]:
  """Puts --config=FILE, or the default's, before the --config.field flags.

  config_flags reads fields into a configuration that it must have by then.

  Raises:
    FileNotFoundError: If there is no such file.
  """
  chosen, others = str(default), []
  left = iter(arguments)
  for argument in left:
    if _FLAG.match(argument):
      chosen = argument.partition('=')[2] or next(left, '')
    else:
      others.append(argument)
  return [f'--config={find_config(chosen)}', *others]


def find_config(name: str) -> pathlib.Path:
  """The file of a configuration: a path, or the name of a built-in one.

  Raises:
    FileNotFoundError: If there is neither.
  """
  path = pathlib.Path(os.path.expanduser(name))
  if path.is_file():
    return path
  built_in = _FOLDER / f'{path.stem}.py'
  if built_in.is_file() and str(path.parent) in ('.', 'configs'):
    return built_in
  known = sorted(
    p.stem for p in _FOLDER.glob('*.py') if not p.stem.startswith('_')
  )
  raise FileNotFoundError(
    f'There is no configuration `{name}`: no such file (seen from'
    f' {pathlib.Path.cwd()}), nor one of the built-in {", ".join(known)}.'
  )


def expand_paths(config: ml_collections.ConfigDict) -> None:
  """Expands ~ where a field begins with it."""
  for name, value in config.items():
    if isinstance(value, ml_collections.ConfigDict):
      expand_paths(value)
    elif isinstance(value, str) and value.startswith('~'):
      config[name] = os.path.expanduser(value)


def has_field(config: object, name: str) -> bool:
  """Whether a configuration has a field, `network.width` for one."""
  for part in name.split('.'):
    if not isinstance(config, ml_collections.ConfigDict) or part not in config:
      return False
    config = config[part]
  return True


def unknown_field(error: Exception) -> str:
  """The message for a field that a configuration lacks."""
  # ml_collections names the field in quotes, and may add a guess below.
  field, *guess = str(error).replace('\\n', '\n').splitlines()
  field = field.strip('\\\'"')
  hint = ' '.join(guess).strip('"\'') or 'See --help for all.'
  return f'--config has no field {field!r}. {hint}'
