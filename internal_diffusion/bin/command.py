"""What all commands share: flags, one-line errors, exit codes, plain help.

A command's errors are one line on standard error and exit code 2; a run that
was interrupted and saved itself ends with 0.
"""

import glob
import logging
import os
import pathlib
import sys
import warnings
from collections.abc import Callable, Sequence

import jax
from absl import flags

from internal_diffusion import arrays
from internal_diffusion.training.loop import NonFiniteLossError

_INTERRUPTED = 130  # 128 and the number of the signal, as shells have it.
_PICTURES = ('.png', '.jpg', '.jpeg', '.webp', '.tif', '.tiff', '.bmp')
_USER_ERRORS = (
  ValueError,
  OSError,
  MemoryError,
  NonFiniteLossError,
  jax.errors.JaxRuntimeError,  # A device that is out of memory, for one.
)


def run(
  main: Callable[[], None],
  flag_values: flags.FlagValues,
  *,
  name: str,
  doc: str,
  default_config: pathlib.Path | None = None,
) -> None:
  """Parses flags, runs a command and exits.

  Args:
    main: The command; reads its flags' values.
    flag_values: The command's own flags.
    name: The command's name, for messages.
    doc: What `--help` says before the flags.
    default_config: Configuration file where --config is left out.
  """
  arguments = sys.argv[1:]
  if any(argument in ('--help', '-h', '-help') for argument in arguments):
    print(_help_text(flag_values, doc))
    sys.exit(0)
  logging.getLogger('absl').setLevel(logging.ERROR)
  flags.FLAGS.mark_as_parsed()  # Libraries may look at the global flags.
  warnings.showwarning = _show_warning(name)
  try:
    if default_config is not None:
      sys.argv[1:] = _config_first(arguments, default_config)
    rest = flag_values(sys.argv)[1:]
    if rest:
      raise ValueError(f'unexpected argument {rest[0]!r}; flags begin with --')
  except (AttributeError, KeyError) as error:
    # ml_collections names the field in quotes, and may add a guess below.
    field, *guess = str(error).replace('\\n', '\n').splitlines()
    field = field.strip('\\\'"')
    hint = ' '.join(guess).strip('"\'') or 'See --help for all.'
    _fail(name, ValueError(f'--config has no field {field!r}. {hint}'))
  except Exception as error:  # A config file may raise anything.
    _fail(name, error)
  try:
    main()
  except _USER_ERRORS as error:
    _fail(name, error)
  except KeyboardInterrupt:
    print(f'{name}: interrupted', file=sys.stderr, flush=True)
    sys.stdout.flush()
    # At once: what still computes on a device would crash an orderly end.
    os._exit(_INTERRUPTED)


def _config_first(arguments: list[str], default: pathlib.Path) -> list[str]:
  """Puts --config=FILE, or the default's, before the --config.field flags.

  config_flags reads fields into a configuration that it must have by then.
  """
  chosen, rest = [f'--config={default}'], list(arguments)
  for index, argument in enumerate(arguments):
    if argument in ('--config', '-config') and index + 1 < len(arguments):
      chosen = [f'--config={arguments[index + 1]}']
      rest = [*arguments[:index], *arguments[index + 2 :]]
    elif argument.startswith(('--config=', '-config=')):
      chosen = [argument]
      rest = [*arguments[:index], *arguments[index + 1 :]]
  return [*chosen, *rest]


def require(**values: object) -> None:
  """Raises ValueError for the first flag that was not given."""
  for name, value in values.items():
    if value in (None, '', []):
      raise ValueError(f'--{name} is required; see --help.')


def check_seed(seed: int) -> None:
  """Raises ValueError unless JAX can make a key of the seed."""
  arrays.check_in_range('seed', seed, 0, 2**63 - 1)


def output_dir(path: str) -> pathlib.Path:
  """Makes a folder for results and checks that it can be written to.

  Raises:
    OSError: If it cannot.
  """
  directory = pathlib.Path(path)
  try:
    directory.mkdir(parents=True, exist_ok=True)
  except OSError as error:
    raise OSError(
      f'{path} cannot be made a folder: {error.strerror}.'
    ) from error
  if not os.access(directory, os.W_OK | os.X_OK):
    raise PermissionError(f'{path} is not writable.')
  return directory


def find_files(patterns: Sequence[str]) -> list[pathlib.Path]:
  """Files of names and patterns, each once, those of a pattern sorted.

  Raises:
    FileNotFoundError: If there is none for a name or pattern.
  """
  found: list[pathlib.Path] = []
  for pattern in patterns:
    # A file whose name holds brackets is no pattern.
    names = [pattern] if pathlib.Path(pattern).exists() else glob.glob(pattern)
    if not names:
      raise FileNotFoundError(
        f'There is no file `{pattern}` (seen from {pathlib.Path.cwd()}).'
      )
    found += [pathlib.Path(name) for name in sorted(names)]
  return list(dict.fromkeys(found))


def find_pictures(names: Sequence[str]) -> list[pathlib.Path]:
  """Files of names and patterns, and all pictures of folders among them.

  Raises:
    FileNotFoundError: If there is none for a name, a pattern or a folder.
  """
  found = []
  for path in find_files(names):
    inside = [path]
    if path.is_dir():
      inside = sorted(
        p for p in path.iterdir() if p.suffix.lower() in _PICTURES
      )
      if not inside:
        raise FileNotFoundError(f'There is no picture in the folder `{path}`.')
    found += inside
  return found


def _fail(name: str, error: BaseException) -> None:
  text = str(error)
  if isinstance(error, jax.errors.JaxRuntimeError):
    text = text.splitlines()[0]
  message = ' '.join(text.split()) or type(error).__name__
  print(f'{name}: error: {message}', file=sys.stderr)
  sys.exit(2)


def _show_warning(name: str) -> Callable[..., None]:
  def show(message: Warning | str, category: type[Warning], *_: object) -> None:
    if issubclass(category, UserWarning):
      print(f'{name}: {message}', file=sys.stderr)

  return show


def _help_text(flag_values: flags.FlagValues, doc: str) -> str:
  lines = [doc.strip(), '', 'Flags:']
  for name in sorted(flag_values):
    flag = flag_values[name]
    if flag.default not in (None, '', []):
      default = f' (default: {flag.default})'
    else:
      default = ''
    lines.append(f'  --{name}')
    lines.append(f'      {flag.help}{default}')
  return '\n'.join(lines)
