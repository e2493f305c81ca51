"""The folder of a run's results: what is in it, and whose it is.

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
import time
from collections.abc import Mapping, Sequence
from typing import Any

from internal_diffusion import compilation, report

INDEX_NAME = 'index.html'
_ALWAYS = (report.REPORT_NAME, INDEX_NAME)


class Run:
  """A command's run and the folder that it owns.

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
          'inputs': _described(inputs),
          'settings': settings,
          'seed': seed,
        }
      )
    )
    self.files: list[str] = []
    _check_writable(self.directory)
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

  def finish_several(
    self,
    done: Mapping[str, 'Results'],
    figures: Mapping[str, Any],
    *,
    title: str,
  ) -> None:
    """Writes the report and the page of all inputs together."""
    sections = {
      name: [(f'{name}/{file}', caption) for file, caption in found.pictures]
      for name, found in done.items()
      if found.pictures
    }
    if sections:
      report.write_page(
        self.path(INDEX_NAME),
        title=title,
        sections=sections,
        table={
          f'{name}: {row}': cells
          for name, found in done.items()
          for row, cells in found.table.items()
        },
      )
    seconds: dict[str, float] = {}
    for found in done.values():
      for part, value in found.seconds.items():
        seconds[part] = seconds.get(part, 0.0) + value
    self.write_report(figures=figures, seconds=seconds)

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


class Results:
  """What one input's results are: files, pictures with captions, times.

  Attributes:
    name: Name of the input.
    inputs: Files of the input.
    directory: Folder of the results.
    title, paragraphs, table, pictures: Content of index.html, which is written
      where there are pictures; see `report.write_page`.
    seconds: Time of each part of the run; compilation is counted apart.
    summary: Start of the line that the command prints at the end, '4 images'
      for one; '' for no line.
  """

  def __init__(
    self,
    run: Run,
    meter: compilation.CompileMeter,
    *,
    name: str,
    inputs: Sequence[pathlib.Path],
    is_alone: bool,
  ) -> None:
    self.name, self.inputs = name, tuple(inputs)
    self._folder = '' if is_alone else name
    self.directory = run.directory / self._folder
    self.title = ''
    self.paragraphs: list[str] = []
    self.table: dict[str, dict[str, Any]] = {}
    self.pictures: list[tuple[str, str]] = []
    self.seconds: dict[str, float] = {}
    self.summary = 'results'
    self._run, self._meter = run, meter
    self._last = time.monotonic(), meter.seconds

  def path(self, name: str) -> pathlib.Path:
    """The path of a result; use it for every file that is written."""
    return self._run.path(str(pathlib.PurePosixPath(self._folder, name)))

  def picture(self, name: str, caption: str) -> pathlib.Path:
    """The path of a result that index.html shows."""
    path = self.path(name)
    if name not in dict(self.pictures):
      self.pictures.append((name, caption))
    return path

  def lap(self, name: str) -> float:
    """Adds the time since the last lap to a part of the run, and returns it.

    Time spent on compilation is added to 'compile' instead.
    """
    now = time.monotonic(), self._meter.seconds
    compiling = now[1] - self._last[1]
    running = max(0.0, now[0] - self._last[0] - compiling)
    for key, value in ((name, running), ('compile', compiling)):
      self.seconds[key] = self.seconds.get(key, 0.0) + value
    self._last = now
    return running

  def finish(self, figures: Mapping[str, Any]) -> None:
    """Writes the page of the pictures, if any, and the report."""
    self.pictures = [
      p for p in self.pictures if (self.directory / p[0]).exists()
    ]
    if self.pictures:
      report.write_page(
        self.path(INDEX_NAME),
        title=self.title,
        sections={'': self.pictures},
        paragraphs=self.paragraphs,
        table=self.table,
      )
    if not self._folder:
      self._run.write_report(figures=figures, seconds=self.seconds)
      return
    self.path(report.REPORT_NAME)
    own = [pathlib.PurePosixPath(file) for file in self._run.files]
    report.write_report(
      self.directory,
      figures=figures,
      seconds=self.seconds,
      files=[file.name for file in own if str(file.parent) == self._folder],
      **{**self._run.identity, 'inputs': _described(self.inputs)},
    )


def _described(paths: Sequence[pathlib.Path]) -> list[dict[str, str]]:
  """What a report tells about input files."""
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
