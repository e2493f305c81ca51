"""The folder of a run: what is in it, and whose it is.

A run owns its folder. Its report.json lists the files that it has written, its
inputs and its options. The same command again replaces these files; a run with
other inputs or options is refused, unless `overwrite` deletes them. A file that
no report lists is a person's own and is never replaced or deleted.

A batch has a folder inside for each input, with a report of its own. What an
earlier run of the same command, options, version and input has completed is
kept, so that a batch that was stopped continues, and one with more inputs does
the new ones only.
"""

import fnmatch
import hashlib
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from internal_diffusion import report
from internal_diffusion.version import __version__

_ALWAYS = (report.REPORT_NAME, report.INDEX_NAME)
_PACKAGE = 'internal-diffusion'


class OwnedFolder:
  """The folder of a command's run.

  Nothing is written before the first result is.

  Attributes:
    directory: Folder of the run.
    identity: The report's command, inputs, settings and seed, by which runs
      are told apart.
    files: Paths of the files written so far, relative to the folder.
    done: Names of the inputs of a batch that are done already.
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
    parts: Mapping[str, Sequence[pathlib.Path]] | None = None,
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
      parts: Files of each input of a batch, by the name of its folder inside
        the folder; the others of `inputs` are read for all of them.
      overwrite: Whether to delete the results of another run, and to do again
        what is done.

    Raises:
      ValueError: If the folder holds the results of another run, a person's own
        file of the name of a result, or an input that would be replaced.
      OSError: If the folder cannot be written to.
    """
    self.directory = pathlib.Path(directory).expanduser()
    parts = parts or {}
    described = describe_inputs(inputs)
    self.identity = json.loads(
      report.to_json(
        {
          'command': command,
          'inputs': described,
          'settings': settings,
          'seed': seed,
        }
      )
    )
    self._parts = _identities(self.identity, inputs, parts)
    self.files: list[str] = []
    for folder in ('', *parts):
      check_writable(self.directory / folder)
    self._stale = self._earlier_files(overwrite)
    self._check_in_the_way(inputs, outputs, list(parts))
    self.done = [] if overwrite else [n for n in parts if self._is_done(n)]
    kept = {f'{name}/' for name in self.done}
    self.files += [f for f in self._stale if f'{_part(f)}/' in kept]
    self._stale = [f for f in self._stale if f not in self.files]
    self._has_begun = False

  def path(self, name: str) -> pathlib.Path:
    """The path of a result, which the report lists from now on."""
    path = self.directory / name
    if name in self.files:
      return path
    self.begin()
    if path.exists():
      raise ValueError(_own_file(path))
    self.files.append(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    if _part(name) in self._parts:
      self.write_part(_part(name), figures={}, seconds={}, complete=False)
    else:
      self.write_report(figures={}, seconds={}, complete=False)
    return path

  def adopt(self, name: str, files: Sequence[str]) -> None:
    """Lists the files of a part that another process has written."""
    own = [f'{name}/{file}' for file in (*files, report.REPORT_NAME)]
    self.files += [file for file in own if file not in self.files]

  def begin(self) -> None:
    """Deletes what an earlier run left, and claims the folder of a batch."""
    if self._has_begun:
      return
    self._has_begun = True
    for stale in self._stale:
      (self.directory / stale).unlink(missing_ok=True)
    _remove_empty(self.directory, self._stale)
    if self._parts:
      self.directory.mkdir(parents=True, exist_ok=True)
      # The reports of the parts list the other files.
      listed = [f'{name}/{report.REPORT_NAME}' for name in self._parts]
      self._write(self.directory, self.identity, listed, {}, {}, False)

  def write_part(
    self,
    name: str,
    *,
    figures: Mapping[str, Any],
    seconds: Mapping[str, float],
    complete: bool = True,
  ) -> None:
    """Writes the report of one input of a batch."""
    listed = f'{name}/{report.REPORT_NAME}'
    if listed not in self.files:
      self.files.append(listed)
    own = [file for file in self.files if _part(file) == name]
    files = [pathlib.PurePosixPath(file).name for file in own]
    identity = self._parts[name]
    self._write(
      self.directory / name, identity, files, figures, seconds, complete
    )

  def write_report(
    self,
    *,
    figures: Mapping[str, Any],
    seconds: Mapping[str, float],
    complete: bool = True,
  ) -> None:
    """Writes report.json; one that is not complete claims the folder."""
    self._write(
      self.directory, self.identity, self.files, figures, seconds, complete
    )

  def _write(
    self,
    directory: pathlib.Path,
    identity: Mapping[str, Any],
    files: Sequence[str],
    figures: Mapping[str, Any],
    seconds: Mapping[str, float],
    complete: bool,
  ) -> None:
    report.write_report(
      directory,
      figures=figures,
      seconds=seconds,
      files=files,
      complete=complete,
      **identity,
    )

  def _is_done(self, name: str) -> bool:
    """Whether an earlier run has completed an input of a batch."""
    found = report.read_report(self.directory / name / report.REPORT_NAME)
    return (
      found is not None
      and found.get('complete') is True
      and not _difference(found, self._parts[name])
      and found.get('versions', {}).get(_PACKAGE) == __version__
      and all((self.directory / name / f).exists() for f in found['files'])
      # A report that the earlier run does not list is a person's own.
      and f'{name}/{report.REPORT_NAME}' in self._stale
    )

  def _earlier_files(self, overwrite: bool) -> list[str]:
    """The files that an earlier run wrote and this one may delete."""
    path = self.directory / report.REPORT_NAME
    if not path.exists():
      return []
    earlier = report.read_report(path)
    if earlier is None:
      raise ValueError(_own_file(path))
    difference = _difference(earlier, self.identity, may_grow=bool(self._parts))
    if difference and not overwrite:
      raise ValueError(
        f'`{self.directory}` holds the results of another run ({difference});'
        ' choose another `out`, or replace them with `overwrite`.'
      )
    names = [*earlier['files'], report.REPORT_NAME]
    for file in earlier['files']:
      if _part(file) and file.endswith(f'/{report.REPORT_NAME}'):
        inside = report.read_report(self.directory / file) or {'files': []}
        names += [f'{_part(file)}/{own}' for own in inside['files']]
    names = list(dict.fromkeys(names))
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
    # So are the folders inside that hold these files.
    stale |= {folder for path in stale for folder in path.parents}
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


def check_writable(directory: pathlib.Path) -> None:
  """Raises OSError unless a folder can be made, if need be, and written to."""
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


def _difference(
  earlier: Mapping[str, Any], now: Mapping[str, Any], *, may_grow: bool = False
) -> str:
  """What tells two runs apart, '' if nothing does.

  Args:
    earlier: Report of the earlier run.
    now: Identity of the run.
    may_grow: Whether a run of more inputs is the same run.
  """
  if earlier['command'] != now['command']:
    return f'of {earlier["command"]}'
  before, after = _digests(earlier), _digests(now)
  is_grown = may_grow and len(before) > 1 and set(before) <= set(after)
  if before != after and not is_grown:
    paths = [given['path'] for given in earlier['inputs']]
    return f'of {", ".join(paths) or "other inputs"}'
  settings = {**earlier['settings'], 'seed': earlier['seed']}
  wanted = {**now['settings'], 'seed': now['seed']}
  for name in {**settings, **wanted}:
    if settings.get(name) != wanted.get(name):
      return f'{name} was {settings.get(name)}, is {wanted.get(name)}'
  return ''


def _digests(run: Mapping[str, Any]) -> list[str]:
  return [given['sha256'] for given in run['inputs']]


def _identities(
  whole: Mapping[str, Any],
  inputs: Sequence[pathlib.Path],
  parts: Mapping[str, Sequence[pathlib.Path]],
) -> dict[str, dict[str, Any]]:
  """The identity of each input of a batch, with the files that all read."""
  described = {given['path']: given for given in whole['inputs']}
  own = {str(path) for files in parts.values() for path in files}
  shared = [str(path) for path in inputs if str(path) not in own]
  return {
    name: {
      **whole,
      'inputs': [described[str(path)] for path in (*files, *shared)],
    }
    for name, files in parts.items()
  }


def _part(name: str) -> str:
  """The part of a batch that a file belongs to, '' for none."""
  return name.rpartition('/')[0]
