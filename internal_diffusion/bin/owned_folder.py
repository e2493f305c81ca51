"""The folder of a run: what is in it, and whose it is.

A run owns its folder. Its report.json lists the files that it has written, its
inputs and its options. The same command again replaces these files; a run with
other inputs or options is refused, unless `overwrite` deletes them. A file that
no report lists is a person's own and is never replaced or deleted.
"""

import fnmatch
import hashlib
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from internal_diffusion import report

_ALWAYS = (report.REPORT_NAME, report.INDEX_NAME)


class OwnedFolder:
  """The folder of a command's run.

  Nothing is written before the first result is.

  Attributes:
    directory: Folder of the run.
    identity: The report's command, inputs, settings and seed, by which runs
      are told apart.
    files: Paths of the files written so far, relative to the folder.
  """

  def __init__(
    self,
    directory: str | os.PathLike,
    *,
    command: str,
    settings: Any,
    seed: int,
    inputs: Sequence[pathlib.Path],
    outputs: Sequence[str],
    names: Sequence[str] = (),
    overwrite: bool = False,
  ) -> None:
    """Checks that the folder is free, or this run's.

    Args:
      directory: Folder of the results; need not exist.
      command: Name of the command.
      settings: Options of the run, a dataclass or a mapping.
      seed: Seed of the run.
      inputs: Files that the run reads.
      outputs: Patterns of the names of the files that the run writes.
      names: Folders inside the folder that the run writes to.
      overwrite: Whether to delete the results of another run.

    Raises:
      ValueError: If the folder holds the results of another run, a person's own
        file of the name of a result, or an input that would be replaced.
      OSError: If the folder cannot be written to.
    """
    self.directory = pathlib.Path(directory).expanduser()
    self.identity = json.loads(
      report.to_json(
        {
          'command': command,
          'inputs': describe_inputs(inputs),
          'settings': settings,
          'seed': seed,
        }
      )
    )
    self.files: list[str] = []
    for folder in ('', *names):
      _check_writable(self.directory / folder)
    self._stale = self._earlier_files(overwrite)
    self._check_in_the_way(inputs, outputs, names)
    self._has_begun = False

  def path(self, name: str) -> pathlib.Path:
    """The path of a result, which the report lists from now on."""
    path = self.directory / name
    if name in self.files:
      return path
    if not self._has_begun:
      self._has_begun = True
      for stale in self._stale:
        (self.directory / stale).unlink(missing_ok=True)
      _remove_empty(self.directory, self._stale)
    if path.exists():
      raise ValueError(_own_file(path))
    self.files.append(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    self.write_report(figures={}, seconds={}, complete=False)
    return path

  def write_report(
    self,
    *,
    figures: Mapping[str, Any],
    seconds: Mapping[str, float],
    complete: bool = True,
  ) -> None:
    """Writes report.json; one that is not complete claims the folder."""
    report.write_report(
      self.directory,
      figures=figures,
      seconds=seconds,
      files=self.files,
      complete=complete,
      **self.identity,
    )

  def _earlier_files(self, overwrite: bool) -> list[str]:
    """The files that an earlier run wrote and this one may delete."""
    path = self.directory / report.REPORT_NAME
    if not path.exists():
      return []
    earlier = report.read_report(path)
    if earlier is None:
      raise ValueError(_own_file(path))
    difference = _difference(earlier, self.identity)
    if difference and not overwrite:
      raise ValueError(
        f'`{self.directory}` holds the results of another run ({difference});'
        ' choose another `out`, or replace them with `overwrite`.'
      )
    names = [*earlier['files'], report.REPORT_NAME]
    # A report may have been changed; nothing outside the folder is touched.
    root = self.directory.resolve()
    return [name for name in names if root in (root / name).resolve().parents]

  def _check_in_the_way(
    self,
    inputs: Sequence[pathlib.Path],
    outputs: Sequence[str],
    names: Sequence[str],
  ) -> None:
    given = {path.resolve() for path in inputs}
    stale = {(self.directory / name).resolve() for name in self._stale}
    for path in inputs:
      if path.resolve() in stale:
        raise ValueError(f'`{path}` is an input and would be replaced.')
    for folder in [self.directory, *(self.directory / name for name in names)]:
      if not folder.is_dir():
        continue
      for path in sorted(folder.iterdir()):
        is_output = any(
          fnmatch.fnmatch(path.name, pattern)
          for pattern in (*_ALWAYS, *outputs)
        )
        if is_output and path.resolve() in given:
          raise ValueError(
            f'`{path}` is an input and would be replaced; choose another `out`.'
          )
        if is_output and path.resolve() not in stale:
          raise ValueError(_own_file(path))


def describe_inputs(paths: Sequence[pathlib.Path]) -> list[dict[str, str]]:
  """Path and SHA-256 of each input file, for the report."""
  return [{'path': str(path), 'sha256': _digest(path)} for path in paths]


def _digest(path: pathlib.Path) -> str:
  try:
    with open(path, 'rb') as file:
      return hashlib.file_digest(file, 'sha256').hexdigest()
  except OSError:
    return ''  # Reading it will fail again, with its own message.


def _check_writable(directory: pathlib.Path) -> None:
  existing = next(
    p for p in (directory, *directory.absolute().parents) if p.exists()
  )
  if not existing.is_dir():
    raise NotADirectoryError(
      f'{directory} cannot be made a folder: {existing} is a file.'
    )
  if not os.access(existing, os.W_OK | os.X_OK):
    raise PermissionError(f'{existing} is not writable.')


def _remove_empty(directory: pathlib.Path, files: Sequence[str]) -> None:
  """Removes the folders inside a folder that held files and are empty now."""
  for parent in {(directory / name).parent for name in files} - {directory}:
    if parent.is_dir() and not any(parent.iterdir()):
      parent.rmdir()


def _own_file(path: pathlib.Path) -> str:
  return (
    f'`{path}` would be replaced, and no earlier run has written it; move it'
    ' away, or choose another `out`.'
  )


def _difference(earlier: Mapping[str, Any], now: Mapping[str, Any]) -> str:
  """What tells two runs apart, '' if nothing does."""
  if earlier['command'] != now['command']:
    return f'of {earlier["command"]}'
  if _digests(earlier) != _digests(now):
    paths = [given['path'] for given in earlier['inputs']]
    return f'of {", ".join(paths) or "other inputs"}'
  before = {**earlier['settings'], 'seed': earlier['seed']}
  after = {**now['settings'], 'seed': now['seed']}
  for name in {**before, **after}:
    if before.get(name) != after.get(name):
      return f'{name} was {before.get(name)}, is {after.get(name)}'
  return ''


def _digests(run: Mapping[str, Any]) -> list[str]:
  return [given['sha256'] for given in run['inputs']]
