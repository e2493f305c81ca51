"""The folder of a training run: its settings, checkpoints and logs.

settings.json    all that the run depends on
checkpoints/     states, by step
metrics.jsonl    scalars of every call, and TensorBoard's event files
.lock            held while a process trains in the folder
"""

import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from internal_diffusion import files
from internal_diffusion import options as options_lib
from internal_diffusion.training import processes
from internal_diffusion.training.checkpoint import CheckpointStore
from internal_diffusion.training.interrupt import stop_requested
from internal_diffusion.training.metrics import MetricWriter
from internal_diffusion.training.options import CheckpointOptions, TrainOptions
from internal_diffusion.training.state import TrainState

SETTINGS_NAME = 'settings.json'
CHECKPOINT_DIR = 'checkpoints'
LOCK_NAME = '.lock'
# Fields that a resumed run may change: the model and its data do not depend on
# them.
_FREE_FIELDS = (
  'num_steps',
  'max_minutes',
  'optimizer.learning_rate',
  'optimizer.clip_norm',
  'num_devices',
  'steps_per_call',
  'checkpoint',
  'sampling',
)


class OtherSettingsError(ValueError):
  """The folder belongs to a run of other settings."""


def array_digest(array: np.ndarray) -> str:
  """A short hash of an array's content."""
  content = np.ascontiguousarray(array)
  header = f'{content.dtype}{content.shape}'.encode()
  return hashlib.sha256(header + content.tobytes()).hexdigest()[:16]


class RunFolder:
  """An open run folder; made by `open_run`."""

  def __init__(
    self,
    directory: pathlib.Path,
    store: CheckpointStore,
    options: CheckpointOptions,
    should_stop: Callable[[], bool],
  ):
    self._directory = directory
    self._store = store
    self._options = options
    self._writer: MetricWriter | None = None
    self._last_saved = 0
    self.should_stop = should_stop

  @property
  def steps(self) -> Sequence[int]:
    """Steps of all checkpoints, increasing."""
    return self._store.steps

  def restore(self, state: TrainState) -> tuple[TrainState, float]:
    """The state and the run's seconds at the newest good checkpoint.

    Where there is none, these are the given initial state and 0.
    """
    restored = self._store.restore(state)
    seconds = 0.0
    if restored is not None:
      self._store.delete_after(restored.step)
      state, seconds = restored.state, restored.seconds
    self._last_saved = int(state.step)
    if processes.is_first():
      self._writer = MetricWriter(self._directory, step=self._last_saved)
    return state, seconds

  def log(self, step: int, **scalars: float) -> None:
    """Appends scalars to the logs."""
    if self._writer is not None:
      self._writer.write(step, **scalars)

  def save_if_due(self, step: int, state: TrainState, seconds: float) -> None:
    """Saves a checkpoint if the last one is old enough."""
    every = self._options.every_steps
    if step // every > self._last_saved // every:
      self.save(step, state, seconds)

  def save(self, step: int, state: TrainState, seconds: float) -> None:
    """Saves a checkpoint unless the step has one."""
    self._store.save(step, state, seconds=seconds)
    self._last_saved = step

  def close(self) -> None:
    """Closes the logs."""
    if self._writer is not None:
      self._writer.close()


@contextlib.contextmanager
def open_run(
  run_dir: str | os.PathLike,
  options: TrainOptions,
  *,
  settings: Mapping[str, Any] | None = None,
) -> Iterator[RunFolder]:
  """Makes a folder a run's own for as long as the run lasts.

  A folder without a checkpoint holds nothing worth keeping, so any run may take
  it over.

  Args:
    run_dir: The folder; made if it does not exist.
    options: Options of the run.
    settings: All that the run depends on; None is the options.

  Raises:
    OtherSettingsError: If the folder belongs to a run of other settings; names
      the fields that differ.
    ValueError: If another process trains in it.
    OSError: If it cannot be written.
  """
  directory = pathlib.Path(run_dir).expanduser()
  if settings is None:
    settings = options_lib.to_dict(options)
  text = json.dumps(settings, indent=2)
  checkpoints = directory / CHECKPOINT_DIR
  if checkpoints.is_dir() and any(checkpoints.iterdir()):
    # Both as JSON has them: lists for tuples.
    differing = _differences(read_settings(directory), json.loads(text))
    if differing:
      raise OtherSettingsError(
        f'{run_dir} belongs to a run of other settings; these differ:'
        f' {"; ".join(differing)}. Give another folder or the same values.'
      )
  directory.mkdir(parents=True, exist_ok=True)
  with contextlib.ExitStack() as stack:
    if processes.is_first():
      stack.enter_context(_locked(directory))
      files.write_atomically(directory / SETTINGS_NAME, f'{text}\n'.encode())
    store = CheckpointStore(checkpoints, keep=options.checkpoint.keep)
    stack.enter_context(store)
    should_stop = stack.enter_context(stop_requested())
    run = RunFolder(directory, store, options.checkpoint, should_stop)
    stack.callback(run.close)
    yield run


@contextlib.contextmanager
def _locked(directory: pathlib.Path) -> Iterator[None]:
  with open(directory / LOCK_NAME, 'w') as lock:
    try:
      fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
      raise ValueError(
        f'Another process is training in {directory}; wait for it or give'
        ' another folder.'
      ) from None
    yield


def read_settings(run_dir: str | os.PathLike) -> dict[str, Any]:
  """The settings of the run in a folder.

  Raises:
    ValueError: If the folder holds no run.
  """
  path = pathlib.Path(run_dir) / SETTINGS_NAME
  if not path.is_file():
    raise ValueError(f'{run_dir} holds no run: {SETTINGS_NAME} is missing.')
  try:
    return json.loads(path.read_text())
  except json.JSONDecodeError as error:
    raise ValueError(f'{path} is damaged: {error}.') from error


def _differences(
  old: dict[str, Any], new: dict[str, Any], prefix: str = ''
) -> list[str]:
  """'field: old there, new here' for every field that must not differ."""
  found = []
  for name in sorted(old.keys() | new.keys()):
    if prefix + name in _FREE_FIELDS:
      continue
    a, b = old.get(name), new.get(name)
    if isinstance(a, dict) and isinstance(b, dict):
      found += _differences(a, b, f'{prefix}{name}.')
    elif name.endswith('_digest') and a != b:
      found.append(f'the {name.removesuffix("_digest")} itself')
    elif a != b:
      found.append(f'{prefix}{name}: {a!r} there, {b!r} here')
  return found
