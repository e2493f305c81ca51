"""A command as a job in a process of its own: progress, messages, the end."""

import collections
import dataclasses
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

_PROGRESS = re.compile(r'(\d{1,3})%\|')
_LEFT = re.compile(r'<([\d:]+)|([\d:]+) left')
_NUM_LINES = 50


@dataclasses.dataclass(frozen=True)
class Progress:
  """How far a job is.

  Attributes:
    fraction: Part of its present stage that is done, or None if unknown.
    left: Time left of the stage, as in 01:20; '' if unknown.
    stage: What the command says of the stage; may be ''.
    seconds: Time since the start.
  """

  fraction: float | None
  left: str
  stage: str
  seconds: float


class Job:
  """A running command.

  Attributes:
    folder: Folder that the command runs in.
  """

  def __init__(
    self, name: str, arguments: Sequence[str], folder: pathlib.Path
  ) -> None:
    """Starts the command.

    Args:
      name: Name of the command without `idiff-`.
      arguments: Its arguments.
      folder: Folder to run it in.
    """
    self.folder = folder
    self._start = time.monotonic()
    self._bar = ''
    self._lines: collections.deque[str] = collections.deque(maxlen=_NUM_LINES)
    # What the command imports is what this process has imported.
    paths = [path for path in sys.path if path]
    self._process = subprocess.Popen(
      [sys.executable, '-m', f'internal_diffusion.bin.{name}', *arguments],
      cwd=folder,
      env={**os.environ, 'PYTHONPATH': os.pathsep.join(paths)},
      stdin=subprocess.DEVNULL,
      stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT,
      start_new_session=True,  # A group of its own, which ends as a whole.
    )
    self._reader = threading.Thread(target=self._read, daemon=True)
    self._reader.start()

  @property
  def is_running(self) -> bool:
    """Whether the command has not ended."""
    return self._process.poll() is None

  @property
  def progress(self) -> Progress:
    """How far the job is."""
    percent, left = _PROGRESS.search(self._bar), _LEFT.search(self._bar)
    return Progress(
      fraction=min(1.0, int(percent[1]) / 100) if percent else None,
      left=(left[1] or left[2]) if left else '',
      stage=self._bar.partition(':')[0].strip() if percent else '',
      seconds=time.monotonic() - self._start,
    )

  @property
  def lines(self) -> list[str]:
    """The last lines that the command wrote, without progress bars."""
    return list(self._lines)

  def wait(self) -> int:
    """Waits for the end and returns the exit code."""
    code = self._process.wait()
    self._reader.join(timeout=2)
    return code

  def kill(self) -> None:
    """Ends the command and everything that it started, at once."""
    try:
      os.killpg(self._process.pid, signal.SIGKILL)
    except ProcessLookupError:
      return
    self._process.wait()

  def _read(self) -> None:
    stream = self._process.stdout
    assert stream is not None  # It is a pipe.
    rest = b''
    with stream:
      while chunk := stream.read1(4096):  # type: ignore[attr-defined]
        *complete, rest = re.split(rb'[\r\n]', rest + chunk)
        for raw in complete:
          line = raw.decode(errors='replace').strip()
          if _PROGRESS.search(line):
            self._bar = line
          elif line:
            self._lines.append(line)
    if rest.strip():
      self._lines.append(rest.decode(errors='replace').strip())
