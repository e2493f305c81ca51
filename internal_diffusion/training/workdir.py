"""A run's folder and the configuration it belongs to."""

import hashlib
import json
import os
import pathlib
from typing import Any

import ml_collections
import numpy as np

CONFIG_NAME = 'config.json'
CHECKPOINT_DIR = 'checkpoints'


def image_digest(image: np.ndarray) -> str:
  """A short name of an image's content."""
  return hashlib.sha256(np.ascontiguousarray(image).tobytes()).hexdigest()[:16]


# Fields that a resumed run may change: they do not touch what was learnt.
_FREE_FIELDS = (
  'image',  # Its content is compared instead.
  'num_steps',
  'max_minutes',
  'num_devices',
  'steps_per_call',
  'checkpoint',
  'sampling',
)


def claim_workdir(
  workdir: str | os.PathLike,
  config: ml_collections.ConfigDict,
  image: np.ndarray,
) -> None:
  """Writes the configuration into a new workdir, or compares it with its own.

  Raises:
    ValueError: If the workdir belongs to another configuration; says which
      fields differ.
    OSError: If the workdir cannot be written.
  """
  path = pathlib.Path(workdir) / CONFIG_NAME
  settings = {
    **config.to_dict(),
    'image_shape': list(image.shape),
    'image_digest': image_digest(image),
  }
  if path.exists():
    differing = _differences(json.loads(path.read_text()), settings)
    if differing:
      raise ValueError(
        f'{workdir} belongs to a run of another configuration; these fields'
        f' differ: {"; ".join(differing)}. Give another --workdir or the'
        ' same values.'
      )
  path.parent.mkdir(parents=True, exist_ok=True)
  partial = path.with_suffix('.partial')
  partial.write_text(json.dumps(settings, indent=2))
  os.replace(partial, path)


def read_settings(workdir: str | os.PathLike) -> dict[str, Any]:
  """The configuration of a run, with `image_shape` and `image_digest`.

  Raises:
    ValueError: If the folder holds no run.
  """
  path = pathlib.Path(workdir) / CONFIG_NAME
  if not path.is_file():
    raise ValueError(
      f'{workdir} holds no run: {CONFIG_NAME} is missing. Give the --workdir of'
      ' idiff-train.'
    )
  try:
    return json.loads(path.read_text())
  except json.JSONDecodeError as error:
    raise ValueError(f'{path} is damaged: {error}.') from error


def _differences(
  old: dict[str, Any], new: dict[str, Any], prefix: str = ''
) -> list[str]:
  """'field: old -> new' for every field that differs and is not free."""
  found = []
  for name in sorted(old.keys() | new.keys()):
    if not prefix and name in _FREE_FIELDS:
      continue
    a, b = old.get(name), new.get(name)
    if isinstance(a, dict) and isinstance(b, dict):
      found += _differences(a, b, f'{prefix}{name}.')
    elif a != b:
      found.append(f'{prefix}{name}: {a!r} there, {b!r} here')
  return found
