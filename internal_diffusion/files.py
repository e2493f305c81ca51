"""Atomic writes of files.

Content is written under a temporary name and renamed when it is complete. Who
writes holds a lock on the temporary file or folder, so that what a killed
process has left can be told from what another process is writing, and removed.
"""

import contextlib
import fcntl
import functools
import io
import os
import pathlib
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

_TEMPORARY = re.compile(r'\.[0-9a-f]{16}\.tmp')
_YOUNG_SECONDS = 1.0


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
  """Writes a file atomically: a temporary file replaces it in one step.

  Args:
    path: Output path; missing folders are created.
    data: Content of the file.
  """
  path = pathlib.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  _clean_once(path.parent.absolute())
  temporary = temporary_beside(path)
  try:
    # A file of `tempfile` could be read by its owner only.
    with open(temporary, 'xb') as file, in_use(temporary):
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


def write_npy(path: str | os.PathLike[str], array: np.ndarray) -> None:
  """Writes an array as a .npy file, atomically.

  Args:
    path: Output path; missing folders are created.
    array: The array.
  """
  buffer = io.BytesIO()
  np.save(buffer, array)
  write_atomically(path, buffer.getvalue())


def temporary_beside(path: pathlib.Path) -> pathlib.Path:
  """A new name in the folder of a path, which `remove_abandoned` knows."""
  return path.with_name(f'.{secrets.token_hex(8)}.tmp')


@contextlib.contextmanager
def in_use(path: pathlib.Path) -> Iterator[None]:
  """Holds the lock of a file or folder, which `remove_abandoned` then keeps."""
  descriptor = os.open(path, os.O_RDONLY)
  try:
    with contextlib.suppress(OSError):  # Not every file system has locks.
      fcntl.flock(descriptor, fcntl.LOCK_EX)
    yield
  finally:
    os.close(descriptor)


def remove_abandoned(folder: str | os.PathLike[str]) -> None:
  """Removes what killed processes have left of their writes in a folder.

  Args:
    folder: The folder; need not exist.
  """
  with contextlib.suppress(OSError):
    for entry in list(os.scandir(folder)):
      age = time.time() - entry.stat(follow_symlinks=False).st_mtime
      # What is new may not have its lock yet.
      if _TEMPORARY.fullmatch(entry.name) and age > _YOUNG_SECONDS:
        _remove_if_unused(pathlib.Path(entry.path))


def _remove_if_unused(path: pathlib.Path) -> None:
  with contextlib.suppress(OSError):
    descriptor = os.open(path, os.O_RDONLY)
    try:
      fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
      if path.is_dir():
        shutil.rmtree(path)
      else:
        path.unlink()
    except BlockingIOError:
      pass  # Another process is writing it.
    finally:
      os.close(descriptor)


@functools.lru_cache(maxsize=1024)
def _clean_once(folder: pathlib.Path) -> None:
  remove_abandoned(folder)
