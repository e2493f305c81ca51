"""The library's own style under a person's settings, and how files appear."""

import errno
import os
import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest

from internal_diffusion import figures


def draw_points():
  x = np.arange(5.0)
  return figures.densities(
    {
      'a': figures.Density(
        np.stack(np.meshgrid(x, x), axis=-1),
        -np.add.outer(x, x),
        np.stack([x, x], axis=1),
      )
    },
    title='50% of a_b & c',
  )


def png(path, draw):
  figures.write_figure(path, draw())
  return path.read_bytes()


def metrics():
  return [
    {'step': s, 'loss': 1 / s, 'learning_rate': 1e-3} for s in range(1, 9)
  ]


@pytest.mark.parametrize(
  'draw', [draw_points, lambda: figures.loss_curve(metrics())]
)
def test_settings_of_a_person_change_no_pixel(tmp_path, draw):
  expected = png(tmp_path / 'a.png', draw)
  with mpl.style.context('dark_background'):
    mpl.rcParams.update(
      {
        'text.usetex': True,
        'font.size': 30,
        'figure.dpi': 20,
        'savefig.facecolor': 'red',
        'savefig.bbox': 'tight',
        'lines.linewidth': 9,
      }
    )
    assert png(tmp_path / 'b.png', draw) == expected
    assert mpl.rcParams['font.size'] == 30


def test_a_figure_drawn_elsewhere_keeps_its_style(tmp_path):
  """Ticks are made when a figure is drawn, in a notebook by its backend."""
  pixels = []
  for style in ('default', 'dark_background'):
    figure = figures.loss_curve(metrics())
    with mpl.style.context(style):
      figure.savefig(tmp_path / 'a.png', facecolor='white')
    pixels.append((tmp_path / 'a.png').read_bytes())
  assert pixels[0] == pixels[1]


def test_a_long_title_stays_inside_its_figure():
  drawn = figures.new_figure(3, 2, title='Posterior density of the flow ' * 3)
  extent = drawn.texts[0].get_window_extent()
  assert 0 < extent.x0 < extent.x1 < drawn.bbox.width


@pytest.mark.parametrize(
  'backend', ['module://matplotlib_inline.backend_inline', 'nonsense']
)
def test_an_absent_backend_is_no_obstacle(backend):
  code = (
    'import os, sys; from internal_diffusion import figures;'
    'figures.new_figure(1, 1, title="t").savefig(os.devnull, format="png");'
    'assert "matplotlib.pyplot" not in sys.modules;'
    'print(os.environ["MPLBACKEND"])'
  )
  done = subprocess.run(
    [sys.executable, '-c', code],
    env=os.environ | {'MPLBACKEND': backend},
    capture_output=True,
    text=True,
    check=False,
  )
  assert (done.stderr, done.stdout.strip()) == ('', backend)


def test_a_figure_that_cannot_be_drawn_is_one_line_of_warning(tmp_path):
  path = tmp_path / 'a.png'

  def draw(reason, *, times):
    raise RuntimeError(reason * times)

  with pytest.warns(UserWarning, match='could not be drawn') as caught:
    figures.write_or_warn(path, draw, 'no\nink\n', times=2)
  assert str(caught[0].message) == (
    f'`{path}` could not be drawn: RuntimeError: no ink no ink'
  )
  assert list(tmp_path.iterdir()) == []
  figures.write_or_warn(path, draw_points)
  assert path.read_bytes() == png(tmp_path / 'b.png', draw_points)


def test_a_full_disk_is_an_error_and_a_bad_figure_a_warning(tmp_path):
  def full():
    raise OSError(errno.ENOSPC, 'No space left on device')

  def bad():
    raise ValueError('no data')

  with pytest.raises(OSError, match='No space'):
    figures.write_or_warn(tmp_path / 'a.png', full)
  with pytest.warns(UserWarning, match='no data'):
    figures.write_or_warn(tmp_path / 'a.png', bad)
