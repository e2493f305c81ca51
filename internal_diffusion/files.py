"""Atomic writes of files."""

import io
import os
import pathlib
import secrets
from collections.abc import Mapping
from typing import Any

import numpy as np


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
  """Writes a file atomically: a temporary file replaces it in one step.

  Args:
    path: Output path; missing folders are created.
    data: Content of the file.
  """
  path = pathlib.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  # A file of `tempfile` could be read by its owner only.
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
  """Writes named arrays as a compressed .npz file, atomically.

  Args:
    path: Output path; missing folders are created.
    arrays: Arrays by name.
  """
  buffer = io.BytesIO()
  named: dict[str, Any] = dict(arrays)
  np.savez_compressed(buffer, **named)
  write_atomically(path, buffer.getvalue())
