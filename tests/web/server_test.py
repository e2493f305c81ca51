"""How the server starts."""

import inspect
import subprocess
import sys

import pytest

from internal_diffusion.web import server
from tests.bin import commands


def test_sources_of_gradio_are_not_looked_up():
  theirs = type('Button', (), {'__module__': 'gradio.components.button'})
  found = inspect.getfile
  with server._without_interface_files():
    assert inspect.getfile(server.serve) == server.__file__
    with pytest.raises(OSError, match='Button'):
      inspect.getfile(theirs)
  assert inspect.getfile is found


@pytest.mark.parametrize(
  ('module', 'late'),
  [
    ('web.uses', 'matplotlib orbax scipy.signal scipy.stats sklearn'),
    ('bin.web', 'flax scipy internal_diffusion.applications'),
    ('web.server', 'flax scipy internal_diffusion.applications'),
  ],
)
def test_slow_libraries_are_not_imported_at_the_start(module, late):
  line = f'import sys, internal_diffusion.{module}; print(*sys.modules)'
  done = subprocess.run(
    [sys.executable, '-c', line],
    cwd=commands.ROOT,
    capture_output=True,
    text=True,
    check=True,
  )
  for name in late.split():
    assert name not in done.stdout.split(), name
