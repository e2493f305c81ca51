"""How every command runs: its flags are read, its inputs processed.

A command's exit code is 0, also where it was interrupted and saved its run; 2
after an error, which is one line on standard error; 3 where some of several
inputs failed and the others are done; 130 where it was interrupted and saved
nothing.
"""

import logging
import os
import pathlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
from absl import flags

from internal_diffusion import arrays, compilation
from internal_diffusion.bin import (
  cluster,
  config_files,
  inputs,
  messages,
  surroundings,
  user_errors,
)
from internal_diffusion.bin.owned_folder import OwnedFolder, check_writable
from internal_diffusion.bin.results import Results, finish_several
from internal_diffusion.version import __version__

# Writes what inputs have together, from a function that gives the paths to
# write to, and the results of the inputs that are done, now or by an earlier
# run. It returns figures of the report of all.
Together = Callable[
  [Callable[[str], pathlib.Path], Sequence[Results]], Mapping[str, Any]
]
_FAILED, _PARTLY_FAILED = 2, 3
_INTERRUPTED = 130  # 128 and the number of the signal, as shells have it.


def run(
  main: Callable[[], None],
  flag_values: flags.FlagValues,
  *,
  name: str,
  doc: str,
  default_config: pathlib.Path | None = None,
  before: Callable[[], None] | None = None,
) -> None:
  """Parses flags, runs a command and exits.

  Args:
    main: The command; reads its flags' values.
    flag_values: The command's flags.
    name: The command's name, for messages.
    doc: Text that `--help` shows before the flags.
    default_config: Configuration file where --config is left out.
    before: Called when the flags are read, before any use of a device.
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
    if before is not None:
      before()
    surroundings.check_platform()
  except (AttributeError, KeyError) as error:
    _fail(name, flag_values, ValueError(config_files.unknown_field(error)))
  except Exception as error:  # A config file may raise anything.
    _fail(name, flag_values, error)
  try:
    with surroundings.entered(flag_values, name):
      main()
  except user_errors.KINDS as error:
    _fail(name, flag_values, error)
  except KeyboardInterrupt:
    print(f'{name}: interrupted', file=sys.stderr, flush=True)
    sys.stdout.flush()
    # At once: what still computes on a device would crash an orderly end.
    os._exit(_INTERRUPTED)


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
  several: bool | None = None,
  together: Together | None = None,
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
    several: Whether each input has a folder of its own; None is where there are
      several.
    together: Writes what several inputs have together; see `Together`.

  Raises:
    ValueError: If the output folder is another run's; or the error of `process`
      where there is one input.
    OSError: If a folder cannot be written to.
  """
  if given is None:
    require(image=flag_values.image)
    paths = inputs.find_pictures(flag_values.image, other_endings=other_endings)
    given = _named(paths, name)
  require(out=flag_values.out)
  if 'workdir' in flag_values and flag_values.workdir:
    _check_workdir(flag_values.workdir)
  several = len(given) > 1 if several is None else several
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
    errors = cluster.run_undone(flag_values.scheduler, folder, given, name)
    done_before |= given.keys() - errors.keys()
  for own, files in given.items():
    label = (' and ' if len(files) == 2 else ', ').join(map(str, files)) or own
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
      except user_errors.KINDS as error:
        if not several:
          raise
        text = user_errors.one_line(error, flag_values)
        print(f'{name}: {label} failed: {text}', file=sys.stderr)
        failed.append(label)
        continue
    done.append(results)
    if results.summary:
      print(f'{name}: {results.summary} in {results.directory}')
  if several and done:
    common = together(folder.path, done) if together is not None else {}
    finish_several(folder, done, title=name, common=common)
  if failed:
    text = f'{len(failed)} of {len(given)} inputs failed: {", ".join(failed)}'
    print(f'{name}: {text}', file=sys.stderr)
    sys.exit(_PARTLY_FAILED)


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


def _check_workdir(path: str) -> None:
  """Raises OSError if a model cannot be saved to a folder that has none."""
  # Late: commands without a model start sooner.
  from internal_diffusion.training import model_files

  if not model_files.has_model(path):
    check_writable(pathlib.Path(path))


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


def _fail(
  name: str, flag_values: flags.FlagValues, error: BaseException
) -> None:
  print(
    f'{name}: error: {user_errors.one_line(error, flag_values)}',
    file=sys.stderr,
    flush=True,
  )
  if jax.distributed.is_initialized():
    # An orderly end would wait for the other processes of the run.
    os._exit(_FAILED)
  sys.exit(_FAILED)
