"""`report.json`, of one form for all commands, and pages of pictures."""

import dataclasses
import html
import importlib.metadata
import json
import math
import os
import pathlib
import platform
import re
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from internal_diffusion import files as file_lib
from internal_diffusion.version import __version__

REPORT_NAME, INDEX_NAME = 'report.json', 'index.html'
_VERSIONED = ('jax', 'flax', 'optax', 'numpy')


def write_report(
  directory: str | os.PathLike,
  *,
  figures: Mapping[str, Any],
  settings: Any,
  seed: int,
  seconds: Mapping[str, float],
  command: str = '',
  inputs: Sequence[Mapping[str, str]] = (),
  files: Sequence[str] = (),
  complete: bool = True,
) -> pathlib.Path:
  """Writes `report.json` atomically.

  Args:
    directory: Folder to write to; made if it does not exist.
    figures: Measured values by name.
    settings: Options of the run, a dataclass or a mapping.
    seed: Seed of everything random.
    seconds: Measured times, such as 'setup', 'compile' and 'run'.
    command: Name of the command.
    inputs: Path and SHA-256 of each input file.
    files: Files that the run wrote, relative to the folder.
    complete: Whether the run has ended.

  Returns:
    The path of the report.
  """
  content = {
    'command': command,
    'complete': complete,
    'figures': figures,
    'settings': settings,
    'seed': seed,
    'inputs': inputs,
    'files': files,
    'versions': _versions(),
    'device': _device(),
    'seconds': seconds,
  }
  path = pathlib.Path(directory) / REPORT_NAME
  file_lib.write_atomically(path, to_json(content).encode())
  return path


def read_report(path: str | os.PathLike) -> dict[str, Any] | None:
  """The content of a report, or None if it is none of `write_report`."""
  try:
    content = json.loads(pathlib.Path(path).read_bytes())
    kinds = {
      'command': str,
      'settings': dict,
      'inputs': list,
      'seed': int,
      'files': list,
    }
    is_report = all(isinstance(content[k], v) for k, v in kinds.items())
    is_report &= all(isinstance(name, str) for name in content['files'])
    return content if is_report else None
  except (OSError, ValueError, TypeError, KeyError):
    return None


def read_page(path: str | os.PathLike) -> list[tuple[str, str]]:
  """The pictures of a page of `write_page`, each a file name and a caption."""
  try:
    text = pathlib.Path(path).read_text()
  except OSError:
    return []
  return [
    (urllib.parse.unquote(link), html.unescape(caption))
    for link, caption in re.findall(r'<img src="([^"]*)" alt="([^"]*)">', text)
  ]


def to_json(content: Any) -> str:
  """Content as JSON; values that are not finite become null, which JSON has."""
  return json.dumps(_plain(content), indent=2, allow_nan=False) + '\n'


_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{
  font: 16px/1.5 system-ui, sans-serif;
  max-width: 80rem;
  margin: 2rem auto;
  padding: 0 1rem;
  color: #222;
}}
p {{ max-width: 45rem; }}
section {{ display: flex; flex-wrap: wrap; gap: 1.5rem; align-items: start; }}
figure {{ margin: 0; max-width: 100%; }}
img {{ max-width: 100%; min-width: 12rem; image-rendering: pixelated; }}
figcaption {{ color: #555; max-width: 30rem; }}
table {{ border-collapse: collapse; margin: 1rem 0; }}
td, th {{
  text-align: right;
  padding: .2rem .8rem;
  border-bottom: 1px solid #ddd;
}}
tr th:first-child {{ text-align: left; font-weight: normal; }}
</style>
<h1>{title}</h1>
{body}
</html>
"""


def write_page(
  path: str | os.PathLike,
  *,
  title: str,
  sections: Mapping[str, Sequence[tuple[str, str]]],
  paragraphs: Sequence[str] = (),
  table: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
  """Writes a static page: text, a table of figures, pictures side by side.

  Args:
    path: Output HTML path.
    title: Title of the page.
    sections: Pictures by heading, '' for none; each is a file name relative to
      the page, and a caption.
    paragraphs: Text above the pictures.
    table: Rows by name, each with the same columns.
  """
  escape = html.escape
  body = [f'<p>{escape(paragraph)}</p>' for paragraph in paragraphs]
  if table:
    body.append(_table(table))
  for heading, pictures in sections.items():
    if heading:
      body.append(f'<h2>{escape(heading)}</h2>')
    body.append('<section>')
    body += [
      f'<figure><a href="{link}"><img src="{link}" alt="{caption}"></a>'
      f'<figcaption>{caption}</figcaption></figure>'
      for link, caption in (
        (urllib.parse.quote(name), escape(caption))
        for name, caption in pictures
      )
    ]
    body.append('</section>')
  page = _PAGE.format(title=escape(title), body='\n'.join(body))
  file_lib.write_atomically(path, page.encode())


def _table(table: Mapping[str, Mapping[str, Any]]) -> str:
  def row(name: str, cells: Sequence[Any], tag: str) -> str:
    inner = ''.join(f'<{tag}>{html.escape(str(c))}</{tag}>' for c in cells)
    return f'<tr><th>{html.escape(name)}</th>{inner}</tr>'

  rows = [row('', list(next(iter(table.values()))), 'th')]
  rows += [row(name, list(r.values()), 'td') for name, r in table.items()]
  return '\n'.join(['<table>', *rows, '</table>'])


def _versions() -> dict[str, str]:
  versions = {
    'python': platform.python_version(),
    'internal-diffusion': __version__,
  }
  for name in _VERSIONED:
    try:
      versions[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
      versions[name] = 'not installed'
  return versions


def _device() -> dict[str, Any]:
  devices = jax.devices()
  return {
    'platform': devices[0].platform,
    'kind': devices[0].device_kind,
    'count': len(devices),
    'cpu_cores': os.cpu_count(),
  }


def _plain(value: Any) -> Any:
  """Values that JSON has."""
  if dataclasses.is_dataclass(value) and not isinstance(value, type):
    return _plain(dataclasses.asdict(value))
  if isinstance(value, Mapping):
    return {str(name): _plain(item) for name, item in value.items()}
  if isinstance(value, np.ndarray | jax.Array):
    return _plain(np.asarray(value).tolist())
  if isinstance(value, list | tuple):
    return [_plain(item) for item in value]
  if isinstance(value, np.generic):
    return _plain(value.item())
  if isinstance(value, float) and not math.isfinite(value):
    return None
  if isinstance(value, pathlib.PurePath):
    return str(value)
  return value
