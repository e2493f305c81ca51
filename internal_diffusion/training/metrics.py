"""Logs of a run: scalars as JSON lines and as TensorBoard's event files."""

import contextlib
import json
import os
import pathlib

import tensorboardX

from internal_diffusion import files

LOG_NAME = 'metrics.jsonl'


class MetricWriter:
  """Appends scalars to `metrics.jsonl` and to TensorBoard event files.

  Args:
    run_dir: Folder of the run.
    step: First step of this part of the run. Lines of later steps, which a
      killed run wrote after its last checkpoint, are dropped, in TensorBoard
      too.
  """

  def __init__(self, run_dir: str | os.PathLike, *, step: int = 0):
    self._path = pathlib.Path(run_dir) / LOG_NAME
    kept = [line for line in read_metrics(run_dir) if line['step'] <= step]
    text = ''.join(json.dumps(line) + '\n' for line in kept)
    files.write_atomically(self._path, text.encode())
    self._file = self._path.open('a')
    self._events = tensorboardX.SummaryWriter(
      str(run_dir), purge_step=step + 1 if step else None
    )

  def close(self) -> None:
    """Closes the files."""
    self._file.close()
    with contextlib.suppress(OSError):  # Its own thread may have failed.
      self._events.close()

  def write(self, step: int, **scalars: float) -> None:
    """Writes the scalars of a step, and flushes them to the disk."""
    self._file.write(json.dumps({'step': step, **scalars}) + '\n')
    self._file.flush()
    for name, value in scalars.items():
      self._events.add_scalar(name, value, step)


def read_metrics(run_dir: str | os.PathLike) -> list[dict[str, float]]:
  """The lines of a run's `metrics.jsonl`; empty where there is no such file."""
  path = pathlib.Path(run_dir) / LOG_NAME
  found: list[dict[str, float]] = []
  for line in path.read_text().splitlines() if path.exists() else ():
    try:
      found.append(json.loads(line))
    except json.JSONDecodeError:
      break  # A killed run was writing this line.
  return found
