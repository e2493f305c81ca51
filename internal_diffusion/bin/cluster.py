"""The pictures of a batch on the workers of a Dask cluster.

A worker runs the same command for one picture at a time, in its own process, so
functions are compiled once for each size. It reads and writes the same files as
this machine does, under the same names. A picture whose worker is lost goes to
another worker.
"""

import contextlib
import os
import pathlib
import runpy
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from internal_diffusion.bin import surroundings, user_errors
from internal_diffusion.bin.owned_folder import OwnedFolder

_ONE_AT_A_TIME = threading.Lock()  # A command's flags are one for a process.
_RETRIES = 3
_OWN = ('image', 'out', 'scheduler', 'overwrite', 'nooverwrite')


def run_undone(
  address: str,
  folder: OwnedFolder,
  given: Mapping[str, Sequence[pathlib.Path]],
  name: str,
) -> dict[str, str]:
  """Runs this process's command for each picture that is not done yet.

  Args:
    address: Address of the scheduler, as in tcp://host:8786.
    folder: Folder of the batch.
    given: Input files by the name of the input; the first is the picture.
    name: The command's name.

  Returns:
    The message of each input that failed.

  Raises:
    ValueError: If there is no such scheduler, or Dask is not installed.
  """
  folder.begin()
  return run_parts(
    address,
    f'internal_diffusion.bin.{name.removeprefix("idiff-")}',
    sys.argv[1:],
    {own: files[0] for own, files in given.items() if own not in folder.done},
    folder.directory,
  )


def run_parts(
  address: str,
  module: str,
  arguments: Sequence[str],
  parts: Mapping[str, pathlib.Path],
  out: pathlib.Path,
) -> dict[str, str]:
  """Runs a command for each picture and waits for all.

  Args:
    address: Address of the scheduler, as in tcp://host:8786.
    module: Module of the command.
    arguments: Command line of the batch.
    parts: Picture of each part.
    out: Folder of the batch; each part has a folder of its name in it.

  Returns:
    The message of each part that failed.

  Raises:
    ValueError: If there is no such scheduler, or Dask is not installed.
  """
  try:
    import distributed
  except ImportError as error:
    raise ValueError(
      "`scheduler` needs Dask; install it by pip install 'internal-diffusion"
      "[cluster]'."
    ) from error
  try:
    client = distributed.Client(address, timeout=10, set_as_default=False)
  except (OSError, ValueError) as error:
    raise ValueError(f'`scheduler` {address} does not answer: {error}') from (
      error
    )
  kept = without_own(arguments)
  with client, client.as_current():
    futures = {
      name: client.submit(
        run_command,
        module,
        [*kept, f'--image={path.absolute()}', f'--out={out.absolute() / name}'],
        os.getcwd(),
        pure=False,
        retries=_RETRIES,
      )
      for name, path in parts.items()
    }
    distributed.wait(list(futures.values()))
    return {
      name: message
      for name, future in futures.items()
      if (message := _message(future))
    }


def run_command(module: str, arguments: Sequence[str], folder: str) -> str:
  """Runs a command in this process.

  Args:
    module: Module of the command, with its `main` and `_FLAGS`.
    arguments: Its command line.
    folder: Folder that names are relative to.

  Returns:
    The message of its error, '' where there was none.
  """
  with _ONE_AT_A_TIME, contextlib.chdir(folder):
    # A module that is run anew has flags of its own.
    names = runpy.run_module(module, run_name='idiff_worker')
    flag_values = names['_FLAGS']
    try:
      flag_values([module, *arguments])
      with surroundings.entered(flag_values, module):
        names['main']()
    except user_errors.KINDS as error:
      return user_errors.one_line(error, flag_values)
  return ''


def without_own(arguments: Sequence[str]) -> list[str]:
  """A command line without the flags that differ between the pictures."""
  kept, skips_next = [], False
  for argument in arguments:
    name, has_value, _ = argument.lstrip('-').partition('=')
    if skips_next:
      skips_next = False
    elif argument.startswith('-') and name in _OWN:
      skips_next = not has_value and not name.endswith('overwrite')
    else:
      kept.append(argument)
  return kept


def _message(future: Any) -> str:
  """Why a part failed, '' if it did not."""
  if future.status == 'finished':
    return future.result()
  return ' '.join(str(future.exception()).split()) or future.status
