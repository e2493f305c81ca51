"""`report.json`, of one form for all commands, and small pages of pictures."""

import html
import importlib.metadata
import json
import os
import pathlib
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

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
  text = json.dumps(content, indent=2, default=_to_json) + '\n'
  path = pathlib.Path(directory) / REPORT_NAME
  write_text(path, text)
  return path


def write_text(path: str | os.PathLike, text: str) -> None:
  """Writes a text file whole or not at all."""
  path = pathlib.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  partial = path.with_name(path.name + '.partial')
  partial.write_text(text)
  os.replace(partial, path)


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
  columns = list(next(iter(table.values()), {}))
  head = ''.join(f'<th>{html.escape(name)}</th>' for name in ['', *columns])
  rows = ''.join(
    f'<tr><th>{html.escape(name)}</th>'
    + ''.join(f'<td>{html.escape(str(row[column]))}</td>' for column in columns)
    + '</tr>\n'
    for name, row in table.items()
  )
  figures = ''.join(
    f'<figure><img src="{html.escape(name)}" alt="{html.escape(caption)}">'
    f'<figcaption>{html.escape(caption)}</figcaption></figure>\n'
    for name, caption in pictures
  )
  text = ''.join(f'<p>{html.escape(p)}</p>\n' for p in paragraphs)
  write_text(
    path,
    f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{html.escape(title)}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem
auto;
  padding: 0 1rem; color: #222; }}
figure {{ margin: 2rem 0; }}
img {{ max-width: 100%; image-rendering: pixelated; }}
figcaption {{ color: #555; }}
td, th {{ text-align: right; padding: .2rem .8rem; border-bottom: 1px solid
#ddd; }} tr th:first-child {{ text-align: left; font-weight: normal; }} table {{
border-collapse: collapse; }} </style> <h1>{html.escape(title)}</h1> {text}
<table><tr>{head}</tr> {rows}</table> {figures}</html>
""",
  )


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


def _to_json(value: Any) -> Any:
  if isinstance(value, np.ndarray | jax.Array):
    return np.asarray(value).tolist()
  if isinstance(value, np.generic):
    return value.item()
  if isinstance(value, pathlib.PurePath):
    return str(value)
  raise TypeError(f'{type(value).__name__} has no place in a report.')
