"""What the page says of a run, as HTML: its progress, its end, its errors."""

import html
import os
from collections.abc import Sequence

from internal_diffusion.web.jobs import Progress


def bar(progress: Progress) -> str:
  """A progress bar with the time left."""
  value = '' if progress.fraction is None else f' value="{progress.fraction}"'
  parts = [f'{progress.seconds:.0f} s so far']
  if progress.fraction is not None:
    parts.insert(0, f'{100 * progress.fraction:.0f}%')
  if progress.left:
    parts.append(f'{progress.left} left')
  if progress.stage:
    parts.insert(0, progress.stage)
  text = html.escape(', '.join(parts))
  return f'<p>{text}</p><progress{value} aria-label="progress"></progress>'


def message(text: str) -> str:
  """A sentence."""
  return f'<p>{html.escape(text)}</p>'


def error(text: str) -> str:
  """What went wrong, in red."""
  return f'<p class="error" role="alert">{html.escape(text)}</p>'


def reason(lines: Sequence[str]) -> str:
  """Why a command failed, from the last lines that it wrote."""
  for line in reversed(lines):
    if 'error: ' in line:
      text = line.partition('error: ')[2]
      return text[:1].upper() + text[1:]
  return ' '.join(lines[-1:]) or 'The run was stopped by the system.'


def without_folder(failure: Exception, path: str) -> str:
  """The text of a failure without the folder of a file that it names."""
  return str(failure).replace(f'{os.path.dirname(path)}{os.sep}', '')
