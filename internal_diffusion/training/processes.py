"""Training on several hosts: processes that take the same steps together.

Each process computes its part of every batch. All hosts see the same run
folder; the first process writes it, and all of them read the checkpoints. If a
process is lost, the others end within the time of a few heartbeats: a step
fails (`LostProcessError`), or JAX ends the process where it waits for a device.
"""

import contextlib
from collections.abc import Iterator
from typing import TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

_T = TypeVar('_T')
# After which a silent process is lost.
_HEARTBEAT_SECONDS, _START_SECONDS = 20, 120


class LostProcessError(ConnectionError):
  """A process of the run failed or was lost."""


def start(
  *,
  coordinator: str | None = None,
  num_processes: int | None = None,
  process_id: int | None = None,
) -> None:
  """Joins the processes of a run; must precede any other use of devices.

  Args:
    coordinator: Address of the first process, host:port; None is found from the
      environment, as `jax.distributed.initialize` does.
    num_processes: Number of processes; None is found from the environment.
    process_id: Number of this process, 0 is the first; None is found from the
      environment.

  Raises:
    ValueError: If the processes do not meet.
  """
  # `interrupt` takes care of SIGTERM.
  jax.config.update('jax_enable_preemption_service', False)
  try:
    jax.distributed.initialize(
      coordinator,
      num_processes,
      process_id,
      initialization_timeout=_START_SECONDS,
      heartbeat_timeout_seconds=_HEARTBEAT_SECONDS,
    )
  except (RuntimeError, ValueError, KeyError) as error:
    raise ValueError(
      f'The processes of the run do not meet: {error}'
    ) from error


def are_several() -> bool:
  """Whether this process is one of several of a run."""
  return jax.process_count() > 1


def is_first() -> bool:
  """Whether this process is the first one, which writes the files."""
  return jax.process_index() == 0


def from_first(tree: _T) -> _T:
  """The first process's value of a tree of arrays and numbers."""
  if not are_several():
    return tree
  return multihost_utils.broadcast_one_to_all(tree)


def any_of(flag: bool) -> bool:
  """Whether a flag is set in any process."""
  if not are_several():
    return flag
  return bool(np.any(multihost_utils.process_allgather(np.asarray(flag))))


def wait_for_all() -> None:
  """Returns when every process has called it."""
  any_of(False)


@contextlib.contextmanager
def loss_named() -> Iterator[None]:
  """Raises LostProcessError where a block fails for want of a process."""
  try:
    yield
  except jax.errors.JaxRuntimeError as error:
    if not are_several():
      raise
    text = str(error).splitlines()[0][:200]
    raise LostProcessError(
      'A process of the run failed or was lost. The same command in all'
      f' processes continues from the last checkpoint. ({text})'
    ) from error
