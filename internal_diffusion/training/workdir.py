"""A run's folder and the configuration it belongs to."""

import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import ml_collections
import numpy as np

from internal_diffusion import files
from internal_diffusion.data import image_io

CONFIG_NAME = 'config.json'
CHECKPOINT_DIR = 'checkpoints'
LOCK_NAME = '.lock'


class OtherConfigurationError(ValueError):
  """A folder that belongs to a run of another configuration."""


def image_digest(image: np.ndarray) -> str:
  """A short name of an image's content."""
  content = np.ascontiguousarray(image_io.check_image(image)).tobytes()
  return hashlib.sha256(content).hexdigest()[:16]


# Fields that a resumed run may change: they touch neither the model nor its
# data.
_FREE_FIELDS = (
  'image',  # Its content is compared instead.
  'num_steps',
  'max_minutes',
  'optimizer.learning_rate',
  'optimizer.clip_norm',
  'num_devices',
  'steps_per_call',
  'checkpoint',
  'sampling',
)


@contextlib.contextmanager
def claimed_workdir(
  workdir: str | os.PathLike,
  config: ml_collections.ConfigDict,
  image: np.ndarray,
) -> Iterator[pathlib.Path]:
  """Makes a folder a run's own for as long as the run lasts.

  A folder without a checkpoint holds nothing worth keeping, so it may be taken
  over by any configuration.

  Yields:
    The folder.

  Raises:
    OtherConfigurationError: If the folder belongs to a run of another
      configuration; says which fields differ.
    ValueError: If another process is training in it.
    OSError: If it cannot be written.
  """
  directory = pathlib.Path(workdir)
  text = json.dumps(
    {
      **config.to_dict(),
      'image_shape': list(image.shape),
      'image_digest': image_digest(image),
    },
    indent=2,
  )
  settings = json.loads(text)  # With lists for tuples, as they are read back.
  checkpoints = directory / CHECKPOINT_DIR
  if checkpoints.is_dir() and any(checkpoints.iterdir()):
    differing = _differences(read_settings(directory), settings)
    if differing:
      raise OtherConfigurationError(
        f'{workdir} belongs to a run of another configuration; these fields'
        f' differ: {"; ".join(differing)}. Give another folder or the same'
        ' values.'
      )
  directory.mkdir(parents=True, exist_ok=True)
  with open(directory / LOCK_NAME, 'w') as lock:
    try:
      fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
      raise ValueError(
        f'Another process is training in {workdir}; wait for it or give another'
        ' folder.'
      ) from None
    files.write_atomically(directory / CONFIG_NAME, f'{text}\n'.encode())
    yield directory


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
    if prefix + name in _FREE_FIELDS:
      continue
    a, b = old.get(name), new.get(name)
    if isinstance(a, dict) and isinstance(b, dict):
      found += _differences(a, b, f'{prefix}{name}.')
    elif name == 'image_digest' and a != b:
      found.append('the photograph itself')
    elif a != b:
      found.append(f'{prefix}{name}: {a!r} there, {b!r} here')
  return found
