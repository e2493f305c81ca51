"""The results of a command: files, pictures with captions, figures, times."""

import pathlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

from internal_diffusion import compilation, report
from internal_diffusion.bin.owned_folder import OwnedFolder


class Results:
  """The results of one input: files, pictures with captions, figures, times.

  Attributes:
    name: Name of the input.
    inputs: Files of the input.
    directory: Folder of the results.
    title, paragraphs, table, pictures: Content of index.html, which is written
      where there are pictures; see `report.write_page`.
    figures: Figures of the report, once finished.
    seconds: Time of each part of the run; compilation is counted apart.
    summary: Start of the line that the command prints at the end, '4 images'
      for one; '' for no line.
  """

  def __init__(
    self,
    folder: OwnedFolder,
    meter: compilation.CompileMeter,
    *,
    name: str,
    inputs: Sequence[pathlib.Path],
    several: bool,
  ) -> None:
    self.name, self.inputs = name, tuple(inputs)
    self._subfolder = name if several else ''
    self.directory = folder.directory / self._subfolder
    self.title = ''
    self.paragraphs: list[str] = []
    self.table: dict[str, dict[str, Any]] = {}
    self.pictures: list[tuple[str, str]] = []
    self.figures: Mapping[str, Any] = {}
    self.seconds: dict[str, float] = {}
    self.summary = 'results'
    self._folder, self._meter = folder, meter
    self._last = time.monotonic(), meter.seconds

  def path(self, name: str) -> pathlib.Path:
    """The path of a result; use it for every file that is written."""
    return self._folder.path(str(pathlib.PurePosixPath(self._subfolder, name)))

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

  def finish(self, figures: Mapping[str, Any], *, title: str) -> None:
    """Writes the page of the pictures, if any, and the report.

    Args:
      figures: Figures of the report.
      title: Title of the page where the results have none.
    """
    self.lap('run')
    self.figures = figures
    self.pictures = [
      p for p in self.pictures if (self.directory / p[0]).exists()
    ]
    if self.pictures:
      report.write_page(
        self.path(report.INDEX_NAME),
        title=self.title or title,
        sections={'': self.pictures},
        paragraphs=self.paragraphs,
        table=self.table,
      )
    if not self._subfolder:
      self._folder.write_report(figures=figures, seconds=self.seconds)
      return
    self._folder.write_part(
      self._subfolder, figures=figures, seconds=self.seconds
    )

  def read_back(self) -> bool:
    """Takes figures, times and pictures from the reports of an earlier run.

    Returns:
      Whether there is a complete report.
    """
    found = report.read_report(self.directory / report.REPORT_NAME)
    if found is None or not found['complete']:
      return False
    self._folder.adopt(self._subfolder, found['files'])
    self.figures, self.seconds = found['figures'], found['seconds']
    self.pictures = report.read_page(self.directory / report.INDEX_NAME)
    return True


def finish_several(
  folder: OwnedFolder,
  done: Sequence[Results],
  *,
  title: str,
  common: Mapping[str, Any],
) -> None:
  """Writes the report and the page of several inputs together.

  `common` are figures of the report beside those of the inputs.
  """
  shown = [results for results in done if results.pictures]
  if shown:
    report.write_page(
      folder.path(report.INDEX_NAME),
      title=title,
      sections={
        r.name: [(f'{r.name}/{file}', caption) for file, caption in r.pictures]
        for r in shown
      },
      table={
        f'{r.name}: {row}': cells
        for r in shown
        for row, cells in r.table.items()
      },
    )
  seconds: dict[str, float] = {}
  for results in done:
    for part, value in results.seconds.items():
      seconds[part] = seconds.get(part, 0.0) + value
  folder.write_report(
    figures={results.name: results.figures for results in done} | dict(common),
    seconds=seconds,
  )
