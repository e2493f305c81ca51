"""`report.json`, of one form for all commands, and small pages of pictures."""

import html
import importlib.metadata
import json
import math
import os
import pathlib
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from internal_diffusion import files

REPORT_NAME = 'report.json'
_VERSIONED = ('internal-diffusion', 'jax', 'flax', 'optax', 'numpy')


def write_report(
  directory: str | os.PathLike,
  *,
  figures: Mapping[str, Any],
  settings: Mapping[str, Any],
  seed: int,
  seconds: Mapping[str, float],
) -> pathlib.Path:
  """Writes `report.json` atomically.

  Args:
    directory: Where to write; made if it does not exist.
    figures: What was measured.
    settings: What was asked for.
    seed: Seed of everything random.
    seconds: Times; 'setup', 'compile' and 'run' are always there, 0 if left
      out.

  Returns:
    The path of the report.
  """
  content = {
    'figures': figures,
    'settings': settings,
    'seed': seed,
    'versions': _versions(),
    'device': _device(),
    'seconds': {'setup': 0.0, 'compile': 0.0, 'run': 0.0, **seconds},
  }
  path = pathlib.Path(directory) / REPORT_NAME
  files.write_atomically(path, to_json(content).encode())
  return path


def to_json(content: Any) -> str:
  """Content as JSON; what is not finite becomes null, which JSON has."""
  return json.dumps(_plain(content), indent=2, allow_nan=False) + '\n'


_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{title}</title>
<style>
body {{
  font: 16px/1.5 system-ui, sans-serif;
  max-width: 60rem;
  margin: 2rem auto;
  padding: 0 1rem;
  color: #222;
}}
figure {{ margin: 2rem 0; }}
img {{ max-width: 100%; }}
figcaption {{ color: #555; }}
table {{ border-collapse: collapse; }}
td, th {{
  text-align: right;
  padding: .2rem .8rem;
  border-bottom: 1px solid #ddd;
}}
tr th:first-child {{ text-align: left; font-weight: normal; }}
</style>
<h1>{title}</h1>
{text}
<table>
{rows}
</table>
{figures}
</html>
"""


def write_page(
  path: str | os.PathLike,
  *,
  title: str,
  paragraphs: Sequence[str],
  pictures: Sequence[tuple[str, str]],
  table: Mapping[str, Mapping[str, Any]],
) -> None:
  """Writes a static page: text, a table of figures, pictures with captions.

  Args:
    path: Of the page.
    title: Its title.
    paragraphs: Its text.
    pictures: File names beside the page, and their captions.
    table: Rows by name, each with the same columns.
  """

  def row(name: str, cells: Sequence[Any], tag: str) -> str:
    inner = ''.join(f'<{tag}>{html.escape(str(c))}</{tag}>' for c in cells)
    return f'<tr><th>{html.escape(name)}</th>{inner}</tr>'

  columns = list(next(iter(table.values()), {}))
  rows = [row('', columns, 'th')]
  rows += [
    row(name, list(values.values()), 'td') for name, values in table.items()
  ]
  figures = [
    f'<figure><img src="{html.escape(name)}" alt="{html.escape(caption)}">'
    f'<figcaption>{html.escape(caption)}</figcaption></figure>'
    for name, caption in pictures
  ]
  page = _PAGE.format(
    title=html.escape(title),
    text='\n'.join(f'<p>{html.escape(p)}</p>' for p in paragraphs),
    rows='\n'.join(rows),
    figures='\n'.join(figures),
  )
  files.write_atomically(path, page.encode())


def _versions() -> dict[str, str]:
  versions = {'python': platform.python_version()}
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
