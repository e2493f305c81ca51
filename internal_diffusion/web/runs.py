"""Runs of a use: the folder, the command line, the results, the archive."""

import fnmatch
import json
import pathlib
import shlex
import shutil
import zipfile
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from internal_diffusion import report
from internal_diffusion.web import controls, uploads
from internal_diffusion.web.use import Use

OUT, COMMAND, ARCHIVE = 'out', 'command.txt', 'results.zip'
_MASK = 'painted_mask.png'


class Shown(NamedTuple):
  """Results that the page shows.

  Attributes:
    pair: Pictures before and after, or None.
    gallery: Further pictures, each with its name.
    uncertainty: Picture of the uncertainty, or None.
    archive: Everything as a zip file.
  """

  pair: tuple[str, str] | None
  gallery: list[tuple[str, str]]
  uncertainty: str | None
  archive: str


def prepare(
  use: Use,
  folder: pathlib.Path,
  *,
  files: Sequence[str | None],
  values: Sequence[Any],
  seed: float | None,
  painted: np.ndarray | None = None,
) -> list[str]:
  """Copies the files of a run into its folder and makes its arguments.

  Args:
    use: The use.
    folder: Empty folder of the run.
    files: A path for each of `use.uploads`, None for no file.
    values: A value for each of `use.controls`.
    seed: Seed of the run; None is the command's own.
    painted: Layer with a mask, uint8 [H, W, 4], or None.

  Returns:
    Arguments of the command, with paths relative to the folder.

  Raises:
    ValueError: If a required file is missing, a file is too large, or an option
      is wrong.
  """
  from internal_diffusion.web import uses  # Late: it imports nearly everything.

  arguments = controls.to_arguments(use.controls, values)
  controls.check_arguments(uses.OPTIONS[use.command], arguments)
  given: dict[str, list[str]] = {}
  for upload, path in zip(use.uploads, files, strict=True):
    if path is None:
      if upload.is_required:
        raise ValueError(f'{upload.label}: give a file first.')
      continue
    name = uploads.copy_in(pathlib.Path(path), folder)
    given.setdefault(upload.flag, []).append(name)
  if painted is not None and 'mask' not in given:
    first = use.uploads[0]
    size = uploads.picture_size(
      folder / given[first.flag][0], is_clip=first.is_clip
    )
    if uploads.write_mask(painted, folder / _MASK, size=size):
      given['mask'] = [_MASK]
  if seed:
    arguments.append(f'--seed={int(seed)}')
  arguments = [
    *(f'--{flag}={",".join(names)}' for flag, names in given.items()),
    *arguments,
    f'--out={OUT}',
  ]
  (folder / COMMAND).write_text(command_line(use, arguments) + '\n')
  return arguments


def command_line(use: Use, arguments: Sequence[str]) -> str:
  """The command line that does the same in a terminal."""
  return shlex.join([f'idiff-{use.command}', *arguments])


def collect(use: Use, folder: pathlib.Path) -> Shown:
  """The results of a run that has ended well, and their archive."""
  out = folder / OUT
  names = json.loads((out / report.REPORT_NAME).read_text())['files']
  pair = None
  if use.before in names and use.after in names:
    pair = str(out / use.before), str(out / use.after)
  return Shown(
    pair=pair,
    gallery=[
      (str(out / name), pathlib.PurePath(name).stem)
      for pattern in use.gallery
      for name in sorted(fnmatch.filter(names, pattern))
    ],
    uncertainty=str(out / use.uncertainty)
    if use.uncertainty in names
    else None,
    archive=str(_write_archive(folder)),
  )


def remove(folder: pathlib.Path) -> None:
  """Removes the folder of a run."""
  shutil.rmtree(folder, ignore_errors=True)


def _write_archive(folder: pathlib.Path) -> pathlib.Path:
  """Zips inputs, results and the command line."""
  paths = [path for path in sorted(folder.rglob('*')) if path.is_file()]
  archive = folder / ARCHIVE
  with zipfile.ZipFile(archive, 'w', zipfile.ZIP_DEFLATED) as file:
    for path in paths:
      file.write(path, path.relative_to(folder))
  return archive
