"""Compiled functions on disk, so that a second run of a command skips that.

The folder is INTERNAL_DIFFUSION_CACHE, or `internal_diffusion/jax` in the
user's cache folder; INTERNAL_DIFFUSION_CACHE=off leaves compiled functions in
memory. Where JAX_COMPILATION_CACHE_DIR is set, JAX's own settings hold.
"""

import contextlib
import os
import pathlib
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import jax

VARIABLE = 'INTERNAL_DIFFUSION_CACHE'
_MAX_BYTES = 512 * 2**20
_MESSAGE = 'persistent compilation cache'
_ENTRIES = '*-cache'  # The names that JAX gives to compiled functions.


def enable() -> pathlib.Path | None:
  """Tells JAX where to keep compiled functions.

  Returns:
    The folder, or None if the cache is off, JAX's own, or cannot be used.
  """
  if os.environ.get('JAX_COMPILATION_CACHE_DIR'):
    return None
  folder = cache_folder()
  if folder is None:
    return None
  try:
    # JAX runs what is in the folder, so nobody else may write to it.
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
  except OSError:
    return None
  jax.config.update('jax_compilation_cache_dir', str(folder))
  # The many short compilations of a command take longer than the few long ones.
  jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.0)
  return folder


def cache_folder() -> pathlib.Path | None:
  """The folder that the environment asks for; None if the cache is off."""
  chosen = os.environ.get(VARIABLE, '')
  if chosen.lower() in ('off', '0'):
    return None
  try:
    if chosen:
      return pathlib.Path(chosen).expanduser()
    base = os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache'
  except RuntimeError:  # There is no home folder.
    return None
  return pathlib.Path(base) / 'internal_diffusion' / 'jax'


def prune(
  folder: pathlib.Path, *, max_bytes: int = _MAX_BYTES, empty: bool = False
) -> None:
  """Deletes the entries that were not read for longest, beyond a size.

  Args:
    folder: Folder of the cache.
    max_bytes: Bytes that are kept.
    empty: Whether all entries are deleted: one of them cannot be read.
  """
  try:
    entries = [(path.stat(), path) for path in folder.glob(_ENTRIES)]
    entries.sort(key=lambda e: max(e[0].st_atime, e[0].st_mtime))
    total = sum(stat.st_size for stat, _ in entries)
    for stat, path in entries:
      if total <= max_bytes and not empty:
        break
      path.unlink(missing_ok=True)
      total -= stat.st_size
  except OSError:  # Read-only, or another process deletes too.
    return


@contextlib.contextmanager
def kept(name: str) -> Iterator[None]:
  """Keeps compiled functions on disk inside a `with` block.

  Warnings are one line each on standard error; those of the cache are not
  shown, as it is never needed.

  Args:
    name: The command's name, for the warnings.
  """
  folder = enable()
  unreadable = False

  def show(
    message: Warning | str, category: type[Warning], *_: Any, **__: Any
  ) -> None:
    nonlocal unreadable
    if _MESSAGE in str(message):
      unreadable |= 'Error reading' in str(message)
    elif issubclass(category, UserWarning):
      print(f'{name}: {message}', file=sys.stderr)

  warnings.showwarning = show
  try:
    yield
  finally:
    if folder is not None:
      prune(folder, empty=unreadable)
