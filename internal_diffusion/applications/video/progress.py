"""Progress bars of work whose parts are not equally long."""

from tqdm import tqdm

_FORMAT = '{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}'


def make_bar(total: float, name: str, *, progress: bool) -> tqdm:
  """A bar with the time left, shown at once.

  Args:
    total: Amount of work, in any unit; `update` adds what is done.
    name: Name of the work.
    progress: Whether to show it.
  """
  return tqdm(
    total=total,
    desc=name,
    disable=not progress,
    bar_format=_FORMAT,
    mininterval=0.2,
  )
