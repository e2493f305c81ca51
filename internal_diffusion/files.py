"""Files that appear whole or not at all."""

import io
import os
import pathlib
import secrets
from collections.abc import Mapping
from typing import Any

import numpy as np


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
  """Writes a file beside `path`, which then takes its place in one step.

  Args:
    path: File to write; missing folders are made.
    data: Its content.
  """
  path = pathlib.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  # `tempfile` would make a file that only its owner may read.
  temporary = path.with_name(f'.{secrets.token_hex(8)}.tmp')
  try:
    with open(temporary, 'xb') as file:
      file.write(data)
      file.flush()
      os.fsync(file.fileno())
    os.replace(temporary, path)
  finally:
    temporary.unlink(missing_ok=True)


def write_npz(
  path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray]
) -> None:
  """Writes named arrays into a compressed .npz, whole or not at all.

  Args:
    path: File to write; missing folders are made.
    arrays: By name.
  """
  buffer = io.BytesIO()
  named: dict[str, Any] = dict(arrays)
  np.savez_compressed(buffer, **named)
  write_atomically(path, buffer.getvalue())
