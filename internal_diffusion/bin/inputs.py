"""The files that a command reads: names, patterns and folders, in order."""

import glob
import pathlib
import re
from collections.abc import Sequence

_PICTURES = ('.png', '.jpg', '.jpeg', '.webp', '.tif', '.tiff', '.bmp', '.gif')


def natural_key(path: pathlib.Path) -> list[tuple[bool, int, str]]:
  """Sorts paths as people number files: frame2 before frame10."""
  parts = re.split(r'(\d+)', str(path))
  return [
    (part.isdecimal(), int(part) if part.isdecimal() else 0, part)
    for part in parts
    if part
  ]


def find_files(
  patterns: Sequence[str], *, repeated: bool = False
) -> list[pathlib.Path]:
  """Files of names and patterns, those of a pattern in natural order.

  A pattern leaves out folders and hidden files.

  Args:
    patterns: Names of files or folders, and patterns with * and ?.
    repeated: Whether a file may come twice, as in a sequence of frames.

  Raises:
    FileNotFoundError: If a name or a pattern has no file.
  """
  found: list[pathlib.Path] = []
  for pattern in patterns:
    name = pathlib.Path(pattern).expanduser()
    if name.exists():  # A file whose name holds brackets is no pattern.
      found.append(name)
      continue
    paths = [pathlib.Path(p) for p in glob.glob(str(name))]
    paths = [p for p in paths if not p.is_dir() and not _is_hidden(p)]
    if not paths:
      raise FileNotFoundError(
        f'There is no file `{pattern}` (seen from {pathlib.Path.cwd()}).'
      )
    found += sorted(paths, key=natural_key)
  return found if repeated else list(dict.fromkeys(found))


def find_pictures(
  names: Sequence[str],
  *,
  repeated: bool = False,
  other_endings: Sequence[str] = (),
) -> list[pathlib.Path]:
  """Files of names and patterns, and the pictures of named folders.

  Hidden files are left out unless named; so are folders inside a folder.

  Args:
    names: Names of files or folders, and patterns with * and ?.
    repeated: Whether a file may come twice, as in a sequence of frames.
    other_endings: Endings of names, beside those of picture formats, of files
      in a folder that are pictures too.

  Raises:
    FileNotFoundError: If a name, a pattern or a folder has no picture.
  """
  found: list[pathlib.Path] = []
  endings = (*_PICTURES, *other_endings)
  for path in find_files(names, repeated=repeated):
    if not path.is_dir():
      found.append(path)
      continue
    inside = [
      p
      for p in path.iterdir()
      if p.suffix.lower() in endings and not p.is_dir() and not _is_hidden(p)
    ]
    if not inside:
      raise FileNotFoundError(f'There is no picture in the folder `{path}`.')
    found += sorted(inside, key=natural_key)
  return found if repeated else list(dict.fromkeys(found))


def unique_names(paths: Sequence[pathlib.Path]) -> list[str]:
  """A name for each path: its stem, or photo_2 where photo is taken.

  Names differ in more than case, so that they can be folders everywhere.
  """
  taken = set()
  names = []
  for path in paths:
    name, number = path.stem, 1
    while name.lower() in taken:
      number += 1
      name = f'{path.stem}_{number}'
    taken.add(name.lower())
    names.append(name)
  return names


def _is_hidden(path: pathlib.Path) -> bool:
  return path.name.startswith('.')
