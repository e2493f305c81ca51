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


@pytest.mark.parametrize('module', ['bin.web', 'web.server'])
def test_slow_libraries_are_not_imported_at_the_start(module):
  line = f'import sys, internal_diffusion.{module}; print(*sys.modules)'
  done = subprocess.run(
    [sys.executable, '-c', line],
    cwd=commands.ROOT,
    capture_output=True,
    text=True,
    check=True,
  )
  for name in ('flax', 'scipy', 'internal_diffusion.applications'):
    assert name not in done.stdout.split(), name
