"""The code blocks and command lines of README."""

import importlib
import pathlib
import re
import shlex

import jax
import numpy as np
import pytest
import skimage.data
import skimage.transform

from internal_diffusion.data import image_io

ROOT = pathlib.Path(__file__).parents[1]
README = ROOT / 'README.md'


def small_photograph():
  photograph = skimage.data.coffee()[:200, :300]
  small = skimage.transform.resize(photograph, (40, 60), anti_aliasing=True)
  return (2 * small - 1).astype(np.float32)


def command_lines(path):
  """The commands of a page, in its blocks and in its sentences."""
  text = path.read_text().replace('\\\n', ' ')
  blocks = re.findall(r'```text\n(.*?)```', text, re.DOTALL)
  lines = [line for block in blocks for line in block.splitlines()]
  lines += re.findall(r'`(idiff-[^`]* --[^`]*)`', text)
  # A comment follows after several spaces.
  lines = [re.split(r'\s{3,}', line)[0] for line in lines]
  return [line for line in lines if line.startswith('idiff-')]


def run_blocks(path, names, small):
  """Runs the Python of a page, in sizes that are fast.

  Args:
    path: The page.
    names: Names that its code has; those that it makes are added.
    small: Sizes of the page, and those to run it with.
  """
  text = path.read_text()
  for large, smaller in small.items():
    assert large in text, f'{path.name} no longer has {large}'
    text = text.replace(large, smaller)
  with jax.numpy_rank_promotion('allow'):
    for index, block in enumerate(
      re.findall(r'```python\n(.*?)```', text, re.DOTALL)
    ):
      exec(compile(block, f'{path.name}, block {index}', 'exec'), names)


def check_flags(line):
  """Fails if a command line has a flag that the command does not know."""
  name, *arguments = shlex.split(line)
  module = importlib.import_module(
    f'internal_diffusion.bin.{name.removeprefix("idiff-")}'
  )
  known = set(module._FLAGS)
  for argument in arguments:
    flag = argument.removeprefix('--').partition('=')[0].partition('.')[0]
    assert flag in known, argument


def check_imports(path):
  """Fails if a page imports from what is no package."""
  for module in re.findall(
    r'^from (internal_diffusion[\w.]*)', path.read_text(), re.MULTILINE
  ):
    found = importlib.import_module(module)
    assert hasattr(found, '__path__'), f'{module} is no package'


def links(path):
  """What a page links to and shows, without other sites."""
  found = re.findall(r'\]\(([^)#]+)', path.read_text())
  return [link for link in found if not link.startswith('http')]


@pytest.mark.long
def test_python_blocks_run_in_their_order(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  image_io.write_image('photo.png', small_photograph())
  names = {}
  run_blocks(README, names, {'size=(240, 320)': 'size=(40, 48)'})
  assert names['levels'][0].shape == (40, 48, 3)
  assert (tmp_path / 'new.png').exists()


def test_command_lines_have_flags_that_exist():
  lines = command_lines(README)
  assert len(lines) > 8
  for line in lines:
    check_flags(line)


def test_public_names_are_imported_from_packages():
  check_imports(README)


def test_links_and_pictures_exist():
  for link in links(README):
    assert (ROOT / link).exists(), link


def test_it_is_about_one_screen():
  assert len(README.read_text().splitlines()) < 100
