"""The page in a browser, and through its own interface."""

import contextlib
import importlib.util
import os
import shutil
import subprocess
import sys
import time
import urllib.request
import zipfile

import numpy as np
import pytest
import skimage.data

from internal_diffusion.data import clip_io, image_io
from tests.applications.video import moving
from tests.bin import commands

CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser')
HAS_BROWSER = CHROMIUM and importlib.util.find_spec('playwright')

pytestmark = [
  pytest.mark.long,
  pytest.mark.skipif(
    importlib.util.find_spec('gradio') is None, reason='the extra `web`'
  ),
  pytest.mark.filterwarnings('default'),
]


@pytest.fixture(scope='module')
def photo(tmp_path_factory):
  path = tmp_path_factory.mktemp('photo') / 'photo.png'
  image_io.write_image(path, skimage.data.coffee()[::8, ::8] / 127.5 - 1)
  return path


@contextlib.contextmanager
def serving(tmp_path):
  """The address of a page in a process of its own."""
  process = subprocess.Popen(
    [sys.executable, '-m', 'internal_diffusion.bin.web', '--port=0'],
    cwd=commands.ROOT,
    env={**os.environ, 'TMPDIR': str(tmp_path)},
    stdout=subprocess.PIPE,
    text=True,
  )
  try:
    line = process.stdout.readline()
    assert 'open http://127.0.0.1:' in line
    yield line.split()[2]
  finally:
    process.terminate()
    code = process.wait(timeout=20)
    process.stdout.close()
  assert code == 130
  # Nothing is left behind.
  assert not list(tmp_path.glob('idiff-web-*'))


@pytest.fixture(scope='module')
def address(tmp_path_factory):
  with serving(tmp_path_factory.mktemp('temporary')) as found:
    yield found


def test_nothing_comes_from_elsewhere(address):
  with urllib.request.urlopen(address) as answer:
    policy = answer.headers['content-security-policy']
    page = answer.read().decode()
  assert "default-src 'self'" in policy
  assert 'fonts.googleapis' not in page


def test_a_port_that_is_taken_is_one_line(address):
  port = address.rstrip('/').rpartition(':')[2]
  code, _, err = commands.run_process('web', f'--port={port}')
  assert code == 2
  assert f'{port} is taken' in err
  assert len(err.splitlines()) == 1


@pytest.fixture
def page(address):
  if not HAS_BROWSER:
    pytest.skip('needs chromium and playwright')
  from playwright import sync_api

  with sync_api.sync_playwright() as playwright:
    browser = playwright.chromium.launch(
      executable_path=CHROMIUM, args=['--no-sandbox']
    )
    page = browser.new_page(viewport={'width': 1280, 'height': 1000})
    outside = []
    page.on(
      'request',
      lambda request: (
        outside.append(request.url)
        if not request.url.startswith((address, 'data:', 'blob:'))
        else None
      ),
    )
    page.goto(address)
    page.get_by_role('button', name='Run').first.wait_for()
    yield page
    assert not outside
    browser.close()


def wait_for(page, use, *words, seconds=240):
  """Waits until the status has one of the words, and returns it."""
  end = time.monotonic() + seconds
  while time.monotonic() < end:
    text = page.locator(f'#status_{use}').inner_text()
    if any(word in text for word in words):
      return text
    page.wait_for_timeout(50)
  raise AssertionError(f'{text!r} has none of {words}')


def give(page, use, path, name='picture'):
  page.locator(f'#{use}_{name} input[type=file]').set_input_files(str(path))


def test_wrong_file_run_and_download_in_a_browser(page, photo, tmp_path):
  bad = tmp_path / 'bad.png'
  bad.write_bytes(b'no picture')
  give(page, 'generate', bad)
  text = wait_for(page, 'generate', 'bad.png')
  assert 'not an image that can be read' in text
  assert str(tmp_path) not in text
  page.locator('#generate_picture').get_by_label('Clear').click()
  give(page, 'generate', photo)
  wait_for(page, 'generate', 'Ready')
  page.get_by_label('Number of samples').first.fill('1')
  page.locator('#run_generate').click()
  wait_for(page, 'generate', 'Done in')
  with page.expect_download() as download:
    page.locator('#zip_generate').click()
  archive = tmp_path / 'results.zip'
  download.value.save_as(archive)
  with zipfile.ZipFile(archive) as file:
    assert {'photo.png', 'out/report.json', 'out/sample_000.png'} <= set(
      file.namelist()
    )
    line = file.read('command.txt').decode()
  assert line == 'idiff-generate --image=photo.png --num_samples=1 --out=out\n'


def test_cancel_in_a_browser(page, photo):
  give(page, 'generate', photo)
  wait_for(page, 'generate', 'Ready')
  page.locator('#run_generate').click()
  wait_for(page, 'generate', 'so far')
  page.locator('#cancel_generate').click()
  wait_for(page, 'generate', 'Cancelled', seconds=2)
  page.wait_for_timeout(1000)  # Nothing that still ran may write over it.
  assert 'Cancelled' in page.locator('#status_generate').inner_text()


def test_a_mask_that_is_painted_in_a_browser(page, photo, tmp_path):
  page.get_by_role('tab', name='Fill and edit').click()
  page.wait_for_timeout(1000)
  give(page, 'edit', photo)
  wait_for(page, 'edit', 'Ready')
  page.wait_for_timeout(2000)
  box = page.locator('#editor_edit canvas').first.bounding_box()
  x, y = box['x'] + box['width'] / 2, box['y'] + box['height'] / 2
  page.mouse.move(x, y)
  page.mouse.down()
  page.mouse.move(x + 9, y + 5, steps=5)
  page.mouse.up()
  page.wait_for_timeout(1000)
  page.locator('#run_edit').click()
  wait_for(page, 'edit', 'Done in')
  with page.expect_download() as download:
    page.locator('#zip_edit').click()
  archive = tmp_path / 'results.zip'
  download.value.save_as(archive)
  with zipfile.ZipFile(archive) as file:
    file.extract('painted_mask.png', tmp_path)
  mask = image_io.read_image(tmp_path / 'painted_mask.png', channels=1)[..., 0]
  assert mask.shape == image_io.read_image(photo).shape[:2]
  rows, columns = np.nonzero(mask > 0)
  # About the middle of the picture, where the mouse was.
  assert abs(rows.mean() / mask.shape[0] - 0.5) < 0.15
  assert abs(columns.mean() / mask.shape[1] - 0.5) < 0.15


def test_a_clip_in_a_browser(page, tmp_path):
  clip = tmp_path / 'clip.gif'
  frames = moving.moved((1.0, 0.5), 5, size=(32, 40))
  clip_io.write_gif(clip, frames, rate=10)
  page.get_by_role('tab', name='Video').click()
  page.wait_for_timeout(1000)
  give(page, 'video', clip, 'clip')
  wait_for(page, 'video', 'Ready')
  page.locator('#run_video').click()
  text = wait_for(page, 'video', 'Done in')
  assert 'interpolate: 9 frames' in text
  with page.expect_download() as download:
    page.locator('#zip_video').click()
  archive = tmp_path / 'results.zip'
  download.value.save_as(archive)
  with zipfile.ZipFile(archive) as file:
    assert {'clip.gif', 'out/mean.gif', 'out/mean/008.png'} <= set(
      file.namelist()
    )


def test_a_narrow_screen(page):
  page.set_viewport_size({'width': 390, 'height': 800})
  page.reload()
  page.get_by_role('button', name='Run').first.wait_for()
  width = page.evaluate('document.documentElement.scrollWidth')
  assert width <= 390
