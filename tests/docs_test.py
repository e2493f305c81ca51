"""The site: its commands, its code, its links, and that it is built."""

import importlib
import importlib.util
import os
import pathlib
import re
import shlex
import subprocess
import sys

import jax
import numpy as np
import pytest

from internal_diffusion.data import image_io
from tests import readme_test

DOCS = pathlib.Path(__file__).parents[1] / 'docs'
PAGES = sorted(DOCS.glob('*.md'))
# Sizes of the site and those of the test.
SMALL = {
  **readme_test.SMALL,
  "UpscaleOptions(preset='fast', factor=2)": (
    "UpscaleOptions(preset='fast', factor=2, num_steps=2)"
  ),
}
# In the order in which a person may read them: names are kept.
WITH_CODE = (
  'start',
  'generate',
  'edit',
  'upscale',
  'restore',
  'motion',
  'patches',
)


def command_lines():
  lines = []
  for page in PAGES:
    for block in re.findall(r'```text\n(.*?)```', page.read_text(), re.DOTALL):
      lines += [line for line in block.splitlines() if line[:6] == 'idiff-']
  return sorted(set(lines))


@pytest.mark.parametrize('line', command_lines())
def test_commands_have_flags_that_exist(line):
  name, *arguments = shlex.split(line)
  module = importlib.import_module(
    f'internal_diffusion.bin.{name.removeprefix("idiff-")}'
  )
  for argument in arguments:
    flag = argument.removeprefix('--').partition('=')[0].partition('.')[0]
    assert flag in set(module._FLAGS), argument


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.stem)
def test_links_and_pictures_exist(page):
  for link in re.findall(r'\]\(([^)#]+)', page.read_text()):
    if not link.startswith(('http', 'made/')):
      assert (DOCS / link).exists(), link


def test_every_page_is_in_the_contents():
  listed = set((DOCS / 'index.md').read_text().split())
  assert {page.stem for page in PAGES} - {'index'} <= listed


@pytest.mark.long
def test_python_blocks_run_in_their_order(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  image = readme_test.small_photograph()
  image_io.write_image('photo.png', image)
  names = {'first': image, 'second': np.roll(image, 1, axis=1)}
  with jax.numpy_rank_promotion('allow'):
    for page in WITH_CODE:
      text = (DOCS / f'{page}.md').read_text()
      for large, small in SMALL.items():
        text = text.replace(large, small)
      for block in re.findall(r'```python\n(.*?)```', text, re.DOTALL):
        exec(compile(block, page, 'exec'), names)
  height, width = image.shape[:2]
  assert names['edited'].samples.shape == (2, height, width, 3)
  assert names['result'].mean.shape == (2 * height, 2 * width, 3)
  assert names['restored'].std.shape == (height, width, 3)
  assert names['flow'].covariance.shape == (height, width, 2, 2)
  assert names['found'].patches.shape == (16, 7, 7, 3)


@pytest.mark.long
@pytest.mark.skipif(
  not all(map(importlib.util.find_spec, ('sphinx', 'furo', 'myst_nb'))),
  reason='the extra `docs`',
)
@pytest.mark.parametrize('builder', ['html', 'doctest'])
def test_the_site_is_built_without_a_warning(tmp_path, builder):
  done = subprocess.run(
    [
      sys.executable,
      '-m',
      'sphinx',
      '-q',
      '-W',
      '-b',
      builder,
      str(DOCS),
      str(tmp_path / builder),
    ],
    env={**os.environ, 'no_proxy': '*'},
    capture_output=True,
    text=True,
    timeout=580,
  )
  assert done.returncode == 0, done.stdout + done.stderr
  if builder == 'html':
    page = (tmp_path / 'html' / 'api.html').read_text()
    assert 'learn_upscaler' in page
    start = (tmp_path / 'html' / 'index.html').read_text()
    assert 'https://cdn' not in start
    assert 'fonts.google' not in start
