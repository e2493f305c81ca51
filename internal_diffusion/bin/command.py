"""Parts that all commands share: flags, help, one-line errors, exit codes.

A command's exit code is 0, also where it was interrupted and saved its run; 2
after an error, which is one line on standard error; 3 where some of several
inputs failed and the others are done; 130 where it was interrupted and saved
nothing.
"""

import contextlib
import logging
import os
import pathlib
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
from absl import flags

from internal_diffusion import arrays, compilation, jax_settings
from internal_diffusion.bin import (
  cluster,
  compile_cache,
  config_files,
  inputs,
  messages,
  option_flags,
)
from internal_diffusion.bin.owned_folder import OwnedFolder
from internal_diffusion.bin.results import Results, finish_several
from internal_diffusion.data import image_decoding
from internal_diffusion.version import __version__

_FAILED, _PARTLY_FAILED = 2, 3
_MAX_PIXELS = 'max_pixels'
_INTERRUPTED = 130  # 128 and the number of the signal, as shells have it.
USER_ERRORS = (
  ValueError,
  OSError,
  MemoryError,
  FloatingPointError,  # A loss that is not finite.
  jax.errors.JaxRuntimeError,  # A device that is out of memory, for one.
)


def define_common(values: flags.FlagValues, *names: str) -> None:
  """Defines flags that mean the same in every command.

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
    flag_values: The command's flags.
    name: The command's name, for messages.
    doc: Text that `--help` shows before the flags.
    default_config: Configuration file where --config is left out.
  """
  sys.stdout, sys.stderr = (
    messages.forgiving(sys.stdout),
    messages.forgiving(sys.stderr),
  )
  arguments = sys.argv[1:]
  if any(argument in ('--help', '-h', '-help') for argument in arguments):
    print(messages.help_text(flag_values, doc))
    sys.exit(0)
  if '--version' in arguments:
    print(f'{name} {__version__}')
    sys.exit(0)
  logging.getLogger('absl').setLevel(logging.ERROR)
  flags.FLAGS.mark_as_parsed()  # Libraries may look at the global flags.
  try:
    if default_config is not None:
      sys.argv[1:] = config_files.config_first(arguments, default_config)
    unparsed = flag_values(sys.argv)[1:]
    if unparsed:
      raise ValueError(
        f'unexpected argument {unparsed[0]!r}; flags begin with --'
      )
    if default_config is not None:
      config_files.expand_paths(flag_values.config)
    if 'seed' in flag_values:
      check_seed(flag_values.seed)
    _check_platform()
  except (AttributeError, KeyError) as error:
    _fail(name, flag_values, ValueError(config_files.unknown_field(error)))
  except Exception as error:  # A config file may raise anything.
    _fail(name, flag_values, error)
  try:
    with surroundings(flag_values, name):
      main()
  except USER_ERRORS as error:
    _fail(name, flag_values, error)
  except KeyboardInterrupt:
    print(f'{name}: interrupted', file=sys.stderr, flush=True)
    sys.stdout.flush()
    # At once: what still computes on a device would crash an orderly end.
    os._exit(_INTERRUPTED)


@contextlib.contextmanager
def surroundings(flag_values: flags.FlagValues, name: str) -> Iterator[None]:
  """What a command runs in: settings, cache, and bound on pixels.

  Args:
    flag_values: The command's parsed flags.
    name: Name for messages.
  """
  num: int = image_decoding.MAX_PIXELS
  if _MAX_PIXELS in flag_values:
    num = getattr(flag_values, _MAX_PIXELS)
  with (
    jax_settings.own_settings(),
    compile_cache.kept(name),
    image_decoding.pixel_limit(num),
  ):
    yield


def for_each_input(
  flag_values: flags.FlagValues,
  process: Callable[[Results], Mapping[str, Any]],
  *,
  name: str,
  settings: Any,
  outputs: Sequence[str],
  given: Mapping[str, Sequence[pathlib.Path]] | None = None,
  also_read: Sequence[str | os.PathLike | None] = (),
  other_endings: Sequence[str] = (),
  together: Callable[[Callable[[str], pathlib.Path]], None] | None = None,
) -> None:
  """Processes each input, into a folder of its own where there are several.

  Checks before any work that nobody's files would be replaced. Each folder gets
  a report.json, and an index.html of the pictures. Where an input of several
  fails, the others are done, and the command ends with exit code 3; those that
  an earlier run has completed are not done again, unless --overwrite is given.

  Args:
    flag_values: The command's flags; `out`, `seed`, `overwrite`, and `image`
      unless `given`.
    process: Writes the results of one input to `Results.path` and
      `Results.picture`, and returns the report's figures.
    name: The command's name.
    settings: Options of the run, a dataclass or a mapping.
    outputs: Patterns of the names of the files that `process` writes.
    given: Input files by the name of the input, instead of those of --image.
    also_read: Further files that the run reads, None for none.
    other_endings: Endings of names, beside those of picture formats, of files
      in a folder of --image that are inputs too.
    together: Writes what several inputs have together, to the paths that its
      argument gives.

  Raises:
    ValueError: If the output folder is another run's; or the error of `process`
      where there is one input.
  """
  if given is None:
    require(image=flag_values.image)
    paths = inputs.find_pictures(flag_values.image, other_endings=other_endings)
    given = _named(paths, name)
  require(out=flag_values.out)
  several = len(given) > 1
  read = [path for files in given.values() for path in files]
  folder = OwnedFolder(
    flag_values.out,
    command=name,
    settings=settings,
    seed=flag_values.seed,
    inputs=[*read, *(pathlib.Path(path) for path in also_read if path)],
    outputs=outputs,
    parts=given if several else None,
    overwrite=flag_values.overwrite,
  )
  done: list[Results] = []
  failed: list[str] = []
  errors: dict[str, str] = {}
  done_before = set(folder.done)
  if several and 'scheduler' in flag_values and flag_values.scheduler:
    errors = _run_on_cluster(flag_values.scheduler, folder, given, name)
    done_before |= given.keys() - errors.keys()
  for own, files in given.items():
    label = ', '.join(map(str, files)) or own
    with compilation.measure_compilation() as meter:
      results = Results(folder, meter, name=own, inputs=files, several=several)
      try:
        if own in errors:
          raise ValueError(errors[own])
        if own in done_before and results.read_back():
          results.summary = 'done'
          if own in folder.done:
            results.summary = 'done already,'
        else:
          results.finish(process(results), title=f'{name}: {label}')
      except USER_ERRORS as error:
        if not several:
          raise
        text = one_line(error, flag_values)
        print(f'{name}: {label} failed: {text}', file=sys.stderr)
        failed.append(label)
        continue
    done.append(results)
    if results.summary:
      print(f'{name}: {results.summary} in {results.directory}')
  if several and done:
    if together is not None:
      together(folder.path)
    finish_several(folder, done, title=name)
  if failed:
    text = f'{len(failed)} of {len(given)} inputs failed: {", ".join(failed)}'
    print(f'{name}: {text}', file=sys.stderr)
    sys.exit(_PARTLY_FAILED)


def _run_on_cluster(
  address: str,
  folder: OwnedFolder,
  given: Mapping[str, Sequence[pathlib.Path]],
  name: str,
) -> dict[str, str]:
  """Runs what is not done on a cluster; returns the messages of failures."""
  folder.begin()
  return cluster.run_parts(
    address,
    f'internal_diffusion.bin.{name.removeprefix("idiff-")}',
    sys.argv[1:],
    {own: files[0] for own, files in given.items() if own not in folder.done},
    folder.directory,
  )


def require(**values: object) -> None:
  """Raises ValueError for the first flag that was not given."""
  for name, value in values.items():
    if value in (None, '', []):
      raise ValueError(f'--{name} is required; see --help.')


def check_seed(seed: int) -> None:
  """Raises ValueError unless JAX can make a key of the seed."""
  arrays.check_in_range('seed', seed, 0, 2**63 - 1)


def output_dir(path: str) -> pathlib.Path:
  """Makes a folder and checks that it can be written to.

  Raises:
    OSError: If it cannot.
  """
  directory = pathlib.Path(path).expanduser()
  try:
    directory.mkdir(parents=True, exist_ok=True)
  except OSError as error:
    raise OSError(
      f'{path} cannot be made a folder: {error.strerror}.'
    ) from error
  if not os.access(directory, os.W_OK | os.X_OK):
    raise PermissionError(f'{path} is not writable.')
  return directory


def one_line(error: BaseException, flag_values: flags.FlagValues) -> str:
  """An error's message on one line, with `name` of a flag as --name."""
  text = str(error)
  if isinstance(error, jax.errors.JaxRuntimeError):
    text = text.splitlines()[0]
  text = ' '.join(text.split()) or type(error).__name__

  def as_flag(match: re.Match) -> str:
    name = match[1]
    if name in flag_values:
      return f'--{name}'
    if 'config' in flag_values and config_files.has_field(
      flag_values['config'].value, name
    ):
      return f'--config.{name}'
    return match[0]

  return re.sub(r'`([\w.]+)`', as_flag, text)


def _define_max_pixels(values: flags.FlagValues) -> None:
  option_flags.define_rare(
    values,
    _MAX_PIXELS,
    'Number of pixels above which a picture is refused.',
    default=image_decoding.MAX_PIXELS,
  )


def _named(
  paths: Sequence[pathlib.Path], command: str
) -> dict[str, Sequence[pathlib.Path]]:
  names = inputs.unique_names(paths)
  for path, own in zip(paths, names, strict=True):
    if own != path.stem:
      print(
        f'{command}: results of {path} are in the folder {own}, as another'
        f' input is called {path.stem} too.',
        file=sys.stderr,
      )
  return {own: (path,) for own, path in zip(names, paths, strict=True)}


def _check_platform() -> None:
  """Raises ValueError if JAX_PLATFORMS names no device of this machine."""
  wanted = os.environ.get('JAX_PLATFORMS', '')
  try:
    jax.devices()
  except Exception as error:  # An assertion, where a plugin is missing.
    if not wanted:
      raise
    jax.config.update('jax_platforms', '')
    found = jax.devices()[0].platform
    raise ValueError(
      f'JAX_PLATFORMS is {wanted!r}, but this machine has no such device; it'
      f' has {found}. Unset JAX_PLATFORMS or set it to {found}.'
    ) from error


def _fail(
  name: str, flag_values: flags.FlagValues, error: BaseException
) -> None:
  print(f'{name}: error: {one_line(error, flag_values)}', file=sys.stderr)
  sys.exit(_FAILED)
