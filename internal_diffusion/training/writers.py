"""Where a run writes what it measures: JSON lines and TensorBoard."""

import json
import os
import pathlib
import types
from collections.abc import Iterator

import tensorboardX

from internal_diffusion import files

LOG_NAME = 'metrics.jsonl'


class MetricWriter:
  """Appends scalars to `metrics.jsonl` and to TensorBoard event files.

  Args:
    workdir: Folder of the run.
    step: First step of this part of the run. Lines of later steps, which a
      killed run wrote after its last checkpoint, are dropped; TensorBoard is
      told to do the same.

  Attributes:
    last: The last line that was kept, empty in a new run.
  """

  def __init__(self, workdir: str | os.PathLike, *, step: int = 0):
    self._path = pathlib.Path(workdir) / LOG_NAME
    kept = [line for line in read_metrics(workdir) if line['step'] <= step]
    self.last: dict[str, float] = kept[-1] if kept else {}
    text = ''.join(json.dumps(line) + '\n' for line in kept)
    files.write_atomically(self._path, text.encode())
    self._file = self._path.open('a')
    self._events = tensorboardX.SummaryWriter(
      str(workdir), purge_step=step + 1 if step else None
    )

  def __enter__(self) -> 'MetricWriter':
    return self

  def __exit__(
    self,
    kind: type[BaseException] | None,
    error: BaseException | None,
    trace: types.TracebackType | None,
  ) -> None:
    self._file.close()
    self._events.close()

  def write(self, step: int, **scalars: float) -> None:
    """Writes the scalars of a step at once, so that no crash loses them."""
    self._file.write(json.dumps({'step': step, **scalars}) + '\n')
    self._file.flush()
    for name, value in scalars.items():
      self._events.add_scalar(name, value, step)


def read_metrics(workdir: str | os.PathLike) -> list[dict[str, float]]:
  """The lines of a run's `metrics.jsonl`; none where there is no such file."""
  path = pathlib.Path(workdir) / LOG_NAME
  return list(_parse_lines(path)) if path.exists() else []


def _parse_lines(path: pathlib.Path) -> Iterator[dict[str, float]]:
  for line in path.read_text().splitlines():
    try:
      yield json.loads(line)
    except json.JSONDecodeError:
      return  # The line that a killed run was writing.
