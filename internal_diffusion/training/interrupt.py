"""Ctrl-C, SIGTERM and SIGHUP as a flag that the training loop checks."""

import contextlib
import signal
import sys
import threading
import types
from collections.abc import Callable, Iterator

from tqdm import tqdm


@contextlib.contextmanager
def stop_requested() -> Iterator[Callable[[], bool]]:
  """Yields a function: whether a signal has asked the run to stop.

  A second signal has its usual effect and ends the process. Only the main
  thread can catch signals; in another thread the function returns False.
  """
  request = threading.Event()
  if threading.current_thread() is not threading.main_thread():
    yield request.is_set
    return
  numbers = [signal.SIGINT, signal.SIGTERM]
  if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # As under nohup.
    numbers.append(signal.SIGHUP)
  previous = {number: signal.getsignal(number) for number in numbers}

  def handle(number: int, frame: types.FrameType | None) -> None:
    del frame
    request.set()
    tqdm.write('Stopping after this call; once more quits at once.', sys.stderr)
    signal.signal(number, previous[signal.Signals(number)])

  for number in previous:
    signal.signal(number, handle)
  try:
    yield request.is_set
  finally:
    for number, handler in previous.items():
      signal.signal(number, handler)
