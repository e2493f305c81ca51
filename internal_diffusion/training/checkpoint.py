"""Checkpoints of a training run, and arrays. The only file that imports orbax.

It does so where it is used: most commands start without it, 0.2 s earlier.

Orbax writes each checkpoint into a temporary folder and renames it when it is
complete, so a killed run leaves no partial checkpoint. Of several processes of
a run all take part, and the first writes. Against later damage,
every checkpoint carries a checksum of its values; one that does not load or
does not match is skipped, with a warning, for the one before it.
"""

import contextlib
import dataclasses
import gc
import logging
import os
import pathlib
import sys
import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Generic, TypeVar

import jax
import numpy as np

from internal_diffusion.training import processes

State = TypeVar('State')


@dataclasses.dataclass(frozen=True)
class Restored(Generic[State]):
  """A checkpoint: the state, its step, and the run's seconds up to it."""

  state: State
  step: int
  seconds: float


class _DamagedError(Exception):
  """A checkpoint that cannot be used."""


def checksum(tree: object) -> int:
  """CRC-32 of all leaves, in the order of the tree."""
  crc = 0
  for leaf in jax.tree.leaves(tree):
    crc = zlib.crc32(np.ascontiguousarray(leaf).tobytes(), crc)
  return crc


def _abstract(state: State) -> State:
  """Shapes and types of a state, to be restored onto the first device."""
  sharding = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
  return jax.tree.map(
    lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=sharding), state
  )


@contextlib.contextmanager
def _quiet_orbax() -> Iterator[None]:
  """Silences orbax's pages of messages about files that it cannot read."""
  logger, hook = logging.getLogger('absl'), sys.unraisablehook
  level = logger.level
  logger.setLevel(logging.CRITICAL)
  sys.unraisablehook = lambda _: None
  try:
    yield
  finally:
    sys.unraisablehook = hook
    logger.setLevel(level)


class CheckpointStore:
  """The checkpoints of one run, by step; a context manager.

  Args:
    directory: Folder of the checkpoints; made if it does not exist.
    keep: Number of checkpoints to keep, the newest.
  """

  def __init__(self, directory: str | os.PathLike, *, keep: int = 3):
    from orbax.checkpoint import v1 as ocp

    orbax = ocp.training
    with _quiet_orbax():
      self._checkpointer = orbax.Checkpointer(
        os.path.abspath(directory),
        save_decision_policy=orbax.save_decision_policies.FixedIntervalPolicy(
          1
        ),
        preservation_policy=orbax.preservation_policies.LatestN(keep),
        cleanup_tmp_directories=True,
      )

  def __enter__(self) -> 'CheckpointStore':
    return self

  def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
    with contextlib.ExitStack() as stack:
      if kind is not None:
        # A save that failed would be reported once more, at length.
        stack.enter_context(_quiet_orbax())
        stack.enter_context(contextlib.suppress(Exception))
      self._checkpointer.close()

  @property
  def steps(self) -> Sequence[int]:
    """Steps of all checkpoints there are, increasing."""
    return sorted(entry.step for entry in self._checkpointer.checkpoints)

  def save(self, step: int, state: object, *, seconds: float = 0.0) -> None:
    """Saves a state after `step` steps, unless the step has a checkpoint."""
    if step in self.steps:
      return
    metadata = {'crc32': checksum(state), 'seconds': seconds}
    if processes.are_several():
      # Equal arrays of all processes, of which orbax writes the first one's.
      state = jax.tree.map(np.asarray, state)
    with _quiet_orbax():
      self._checkpointer.save(step, state, custom_metadata=metadata)

  def restore(self, template: State) -> Restored[State] | None:
    """The newest good checkpoint, or None where there is none.

    Args:
      template: A state of the same structure, shapes and types.

    Raises:
      ValueError: If there are checkpoints, but all are damaged.
    """
    problems = []
    for step in reversed(self.steps):
      try:
        restored = self._load(step, template)
      except _DamagedError as error:
        problems.append(f'step {step} ({error})')
        continue
      if problems:
        warnings.warn(
          f'Damaged checkpoint skipped: {", ".join(problems)}. Falling back'
          f' to the last good one, step {step}.',
          stacklevel=2,
        )
      return restored
    if problems:
      raise ValueError(
        f'No good checkpoint in {self._checkpointer.directory}:'
        f' {", ".join(problems)}. Start again in an empty workdir.'
      )
    return None

  def delete_after(self, step: int) -> None:
    """Deletes the checkpoints after a step."""
    for later in [s for s in self.steps if s > step]:
      with _quiet_orbax():
        self._checkpointer.delete(later)

  def _load(self, step: int, template: State) -> Restored[State]:
    found = None
    with _quiet_orbax():
      # Orbax raises many kinds of errors for a damaged file.
      with contextlib.suppress(Exception):
        state = self._checkpointer.load(step, _abstract(template))
        metadata = self._checkpointer.metadata(step).custom_metadata or {}
        found = state, metadata
      if found is None:
        # Collects its abandoned coroutines while their complaints are silenced.
        gc.collect()
    if found is None:
      raise _DamagedError('it cannot be read')
    state, metadata = found
    if metadata.get('crc32') != checksum(state):
      raise _DamagedError('its values do not match their checksum')
    return Restored(state, step, metadata.get('seconds', 0.0))


def write_arrays(path: pathlib.Path, arrays: Mapping[str, np.ndarray]) -> None:
  """Writes named arrays into a new folder."""
  from orbax.checkpoint import v1 as ocp

  with _quiet_orbax():
    ocp.save_pytree(path, dict(arrays))


def read_arrays(
  path: pathlib.Path, shapes: Mapping[str, jax.ShapeDtypeStruct]
) -> dict[str, jax.Array]:
  """Reads named arrays onto the first device; damage raises many errors."""
  if not shapes:
    return {}
  from orbax.checkpoint import v1 as ocp

  with _quiet_orbax():
    return ocp.load_pytree(path, _abstract(dict(shapes)))
