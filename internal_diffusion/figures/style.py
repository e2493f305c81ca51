"""The library's own matplotlib style, and how figures are written.

Every figure has matplotlib's default style, whatever a person's settings are
(a dark style, text set by TeX). `pyplot` is never imported, so that no window
and no graphical backend is needed.
"""

import contextlib
import errno
import importlib
import io
import os
import sys
import textwrap
import warnings
from collections.abc import Callable
from typing import ParamSpec

from internal_diffusion import files


def _import_matplotlib() -> None:
  """Imports matplotlib even where `MPLBACKEND` names an absent backend.

  A notebook passes the name of its own backend to the commands that it starts.
  """
  if 'matplotlib' in sys.modules:
    return
  backend = os.environ.pop('MPLBACKEND', None)
  matplotlib = importlib.import_module('matplotlib')
  if backend is not None:
    os.environ['MPLBACKEND'] = backend
    with contextlib.suppress(ValueError):
      matplotlib.rcParams['backend'] = backend


_import_matplotlib()

# After the import above, which must not see a backend that cannot be loaded.
import matplotlib.figure  # noqa: E402
import matplotlib.style  # noqa: E402
from matplotlib.axes import Axes as Axes  # noqa: E402

_P = ParamSpec('_P')
_LETTERS_PER_INCH = 9  # In the title of a figure.

# Decorator of a function that makes or draws artists.
own_style = matplotlib.style.context('default')


class Figure(matplotlib.figure.Figure):
  """A matplotlib figure that is drawn in the library's own style."""

  draw = own_style(matplotlib.figure.Figure.draw)


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@own_style
def new_figure(width: float, height: float, *, title: str = '') -> Figure:
  """Empty figure whose parts make room for each other.

  Args:
    width: Width, in inches.
    height: Height, in inches.
    title: Title of the whole figure, broken into lines that fit.
  """
  figure = Figure(figsize=(width, height), layout='constrained')
  if title:
    figure.suptitle(textwrap.fill(title, int(_LETTERS_PER_INCH * width)))
  return figure


@own_style
def write_figure(
  path: str | os.PathLike[str], figure: matplotlib.figure.Figure
) -> None:
  """Writes a figure as a PNG file, whole or not at all."""
  buffer = io.BytesIO()
  figure.savefig(buffer, format='png', dpi=120)
  files.write_atomically(path, buffer.getvalue())


def write_or_warn(
  path: str | os.PathLike[str],
  draw: Callable[_P, matplotlib.figure.Figure],
  /,
  *args: _P.args,
  **kwargs: _P.kwargs,
) -> None:
  """Draws and writes a figure; a failure to draw is a warning, not an error.

  The results that the figure shows are kept.

  Args:
    path: Output PNG path.
    draw: Function that returns the figure.
    *args: Arguments of `draw`.
    **kwargs: Keyword arguments of `draw`.

  Raises:
    OSError: If the disk is full.
  """
  try:
    write_figure(path, draw(*args, **kwargs))
  except Exception as error:
    if isinstance(error, OSError) and error.errno in _FULL:
      raise
    reason = ' '.join(f'{type(error).__name__}: {error}'.split())
    warnings.warn(f'`{path}` could not be drawn: {reason}', stacklevel=2)
