"""The site: its commands, its code, its links, and that it is built."""

import html
import importlib.util
import os
import pathlib
import re
import subprocess
import sys
import urllib.parse

import numpy as np
import pytest

from internal_diffusion.data import clip_io, image_io
from tests import readme_test

DOCS = pathlib.Path(__file__).parents[1] / 'docs'
PAGES = sorted(DOCS.glob('*.md'))
# Pages with code, in an order in which a person may read them, as names are
# kept; their sizes, and those of the test.
WITH_CODE = {
  'start': {},
  'generate': {'size=(240, 320)': 'size=(40, 48)'},
  'edit': {},
  'upscale': {
    "UpscaleOptions(preset='default', factor=2)": (
      "UpscaleOptions(preset='default', factor=2, num_steps=2)"
    ),
    'num_samples=8)': 'num_samples=2)',
  },
  'restore': {},
  'motion': {
    'FlowOptions(minutes=1.0)': 'FlowOptions(num_steps=2, num_samples=2)'
  },
  'measurement': {},
  'video': {
    "triplet={'time': (-2, 2)})": (
      "triplet={'time': (-2, 2)}, num_steps=2, batch_size=32,"
      ' num_references=32)'
    )
  },
  'patches': {
    'PatchOptions(num_steps=4600, num_gaussians=16)': (
      'PatchOptions(num_steps=3, batch_size=32, num_references=32)'
    ),
    'num=256)': 'num=16)',
    'num_steps=2000)': 'num_steps=2, batch_size=32, num_references=32)',
    '(1000, 49)': '(10, 49)',
  },
  'frameworks': {},
}


def broken_links(root):
  """Links and pictures of a built site that lead nowhere in it."""
  texts = {path: path.read_text() for path in root.rglob('*.html')}
  broken = set()
  for path, text in texts.items():
    for link in re.findall(r'(?:href|src)="([^"]+)"', text):
      url = urllib.parse.urlparse(html.unescape(link))
      if url.scheme or url.netloc:
        continue
      found = (path.parent / urllib.parse.unquote(url.path)).resolve()
      found = found if url.path else path
      is_there = found.exists()
      if is_there and url.fragment and found in texts:
        is_there = f'id="{urllib.parse.unquote(url.fragment)}"' in texts[found]
      if not is_there:
        broken.add((path.name, link))
  return broken


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.stem)
def test_commands_links_and_imports_exist(page):
  for line in readme_test.command_lines(page):
    readme_test.check_flags(line)
  readme_test.check_imports(page)
  for link in readme_test.links(page):
    if not link.startswith('made/'):
      assert (DOCS / link).exists(), link


def test_every_page_is_in_the_contents():
  listed = set((DOCS / 'index.md').read_text().split())
  assert {page.stem for page in PAGES} - {'index'} <= listed


def test_all_code_is_run():
  with_code = {page.stem for page in PAGES if '```python' in page.read_text()}
  assert with_code == WITH_CODE.keys()


@pytest.mark.long
def test_python_blocks_run_in_their_order(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  image = readme_test.small_photograph()
  image_io.write_image('photo.png', image)
  clip = [np.roll(image, shift, axis=1) for shift in range(5)]
  clip_io.write_frames('frames', clip)
  names = {'first': image, 'second': np.roll(image, 1, axis=1)}
  for page, small in WITH_CODE.items():
    readme_test.run_blocks(DOCS / f'{page}.md', names, small)
  height, width = image.shape[:2]
  assert names['levels'][0].shape == (40, 48, 3)
  assert names['edited'].samples.shape == (2, *names['hole'].shape, 3)
  assert names['result'].mean.shape == (2 * height, 2 * width, 3)
  assert names['restored'].samples.shape == (4, height, width, 3)
  assert names['filled'].mean.shape == image.shape
  assert names['flow'].covariance.shape == (height, width, 2, 2)
  assert names['measured'].mean.shape == (height, width, 2)
  assert names['after'].mean.shape == (1, *image.shape)
  assert names['found'].patches.shape == (16, 7, 7, 3)
  assert names['delta'].shape == (10, 3)
  assert names['samples'].shape == (16, 2)


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
    assert not broken_links((tmp_path / 'html').resolve())
