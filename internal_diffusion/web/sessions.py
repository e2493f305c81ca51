"""The runs of the people who have the page open, one run at a time each."""

import itertools
import pathlib
import threading

from internal_diffusion.web import runs
from internal_diffusion.web.jobs import Job


class Sessions:
  """Which run each session wants, its job and its folder.

  A new run, or a cancel, ends the session's job and makes earlier tickets void,
  so a run that still waits in the queue does not begin.
  """

  def __init__(self, root: pathlib.Path) -> None:
    self._root = root
    self._lock = threading.Lock()
    self._tickets: dict[str, int] = {}
    self._jobs: dict[str, Job] = {}
    self._folders: dict[str, pathlib.Path] = {}
    self._numbers = itertools.count(1)

  def submit(self, session: str) -> int:
    """A ticket for a new run; the session's earlier run ends."""
    self.cancel(session)
    with self._lock:
      self._tickets[session] = next(self._numbers)
      return self._tickets[session]

  def is_wanted(self, session: str, ticket: int) -> bool:
    """Whether a run has been neither cancelled nor replaced."""
    return self._tickets.get(session) == ticket

  def new_folder(self, session: str) -> pathlib.Path:
    """A folder for a run; that of the session's earlier run is removed."""
    with self._lock:
      folder = self._root / f'run_{next(self._numbers)}'
      earlier = self._folders.get(session)
      self._folders[session] = folder
    if earlier is not None:
      runs.remove(earlier)
    folder.mkdir(parents=True)
    return folder

  def start(self, session: str, ticket: int, job: Job) -> None:
    """Keeps a job, so that a cancel ends it; one too late ends at once."""
    with self._lock:
      if self._tickets.get(session) == ticket:
        self._jobs[session] = job
        return
    job.kill()

  def cancel(self, session: str) -> bool:
    """Ends the session's run; returns whether there was one."""
    with self._lock:
      had_ticket = self._tickets.pop(session, None) is not None
      job = self._jobs.pop(session, None)
    if job is not None:
      job.kill()
    return had_ticket

  def finish(self, session: str, ticket: int) -> None:
    """Forgets a run that has ended by itself."""
    with self._lock:
      if self._tickets.get(session) == ticket:
        self._tickets.pop(session, None)
        self._jobs.pop(session, None)

  def close(self, session: str) -> None:
    """Ends the session's run and removes its files."""
    self.cancel(session)
    with self._lock:
      folder = self._folders.pop(session, None)
    if folder is not None:
      runs.remove(folder)

  def close_all(self) -> None:
    """Ends all runs."""
    for session in [*self._tickets, *self._folders]:
      self.close(session)
