"""The uses of the page, kept in a file from one start to the next.

They follow from the options of all commands, whose import takes longer than
that of the page. The file holds them for the sources that it was made from;
others make it anew.
"""

import dataclasses
import json
import pathlib
import zlib
from collections.abc import Sequence
from typing import Any

from internal_diffusion import files
from internal_diffusion.bin import compile_cache
from internal_diffusion.web.controls import Control, Kind
from internal_diffusion.web.use import Upload, Use

_ROOT = pathlib.Path(__file__).parents[1]
_NAME = 'web_forms.json'


def read_uses() -> tuple[Use, ...]:
  """The uses that the page has a tab for."""
  folder = compile_cache.cache_folder()
  sources = _fingerprint()
  if folder is not None:
    kept = _read(folder / _NAME, sources)
    if kept is not None:
      return kept
  from internal_diffusion.web import uses

  if folder is not None:
    _write(folder / _NAME, sources, uses.USES)
  return uses.USES


def _fingerprint() -> int:
  """A number that changes where a source of the package does."""
  found = [
    (str(path.relative_to(_ROOT)), stat.st_mtime_ns, stat.st_size)
    for path in sorted(_ROOT.rglob('*.py'))
    for stat in (path.stat(),)
  ]
  return zlib.crc32(repr(found).encode())


def _read(path: pathlib.Path, sources: int) -> tuple[Use, ...] | None:
  """The uses in a file, or None if it is missing, damaged or of other ones."""
  try:
    kept = json.loads(path.read_bytes())
    if kept['sources'] != sources:
      return None
    return tuple(_to_use(use) for use in kept['uses'])
  except (OSError, ValueError, KeyError, TypeError):
    return None


def _write(path: pathlib.Path, sources: int, uses: Sequence[Use]) -> None:
  kept = {
    'sources': sources,
    'uses': [dataclasses.asdict(use) for use in uses],
  }
  try:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    files.write_atomically(path, json.dumps(kept).encode())
  except OSError:  # The page works without.
    return


def _to_use(kept: dict[str, Any]) -> Use:
  """A use of the lists and mappings that JSON has."""
  controls = []
  for fields in kept['controls']:
    values = {name: _to_tuple(value) for name, value in fields.items()}
    controls.append(Control(**{**values, 'kind': Kind(values['kind'])}))
  return Use(
    **{
      **kept,
      'controls': tuple(controls),
      'uploads': tuple(Upload(**upload) for upload in kept['uploads']),
      'gallery': tuple(kept['gallery']),
    }
  )


def _to_tuple(value: Any) -> Any:
  return tuple(value) if isinstance(value, list) else value
