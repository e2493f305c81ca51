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

from internal_diffusion.data import clip_io, image_io

README = pathlib.Path(__file__).parents[1] / 'README.md'
# Sizes of README and those of the test.
SMALL = {
  'PatchOptions(num_steps=4600, num_gaussians=16)': (
    'PatchOptions(num_steps=3, batch_size=32, num_references=32)'
  ),
  'num=256)': 'num=16)',
  'size=(240, 320)': 'size=(40, 48)',
  "UpscaleOptions(preset='default', factor=2)": (
    "UpscaleOptions(preset='default', factor=2, num_steps=2)"
  ),
  'num_samples=8)': 'num_samples=2)',
  'FlowOptions(minutes=1.0)': 'FlowOptions(num_steps=2, num_samples=2)',
  'num_steps=2000)': 'num_steps=2, batch_size=32, num_references=32)',
  '(1000, 49)': '(10, 49)',
}


def small_photograph():
  photograph = skimage.data.coffee()[:200, :300]
  small = skimage.transform.resize(photograph, (40, 60), anti_aliasing=True)
  return (2 * small - 1).astype(np.float32)


def command_lines():
  text = README.read_text().replace('\\\n', ' ')
  blocks = re.findall(r'```text\n(.*?)```', text, re.DOTALL)
  lines = [line for block in blocks for line in block.splitlines()]
  lines += re.findall(r'`(idiff-[^`]* --[^`]*)`', text)
  # A comment follows after several spaces.
  lines = [re.split(r'\s{3,}', line)[0] for line in lines]
  return [line for line in lines if line.startswith('idiff-')]


@pytest.mark.long
def test_python_blocks_run_in_their_order(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  image = small_photograph()
  image_io.write_image('photo.png', image)
  clip = [np.roll(image, shift, axis=1) for shift in range(5)]
  clip_io.write_frames('frames', clip)
  text = README.read_text()
  for large, small in SMALL.items():
    assert large in text, f'README no longer has {large}'
    text = text.replace(large, small)
  names = {'first': image, 'second': np.roll(image, 1, axis=1)}
  names['holes'] = np.random.default_rng(0).random(image.shape[:2]) < 0.3
  with jax.numpy_rank_promotion('allow'):
    for index, block in enumerate(
      re.findall(r'```python\n(.*?)```', text, re.DOTALL)
    ):
      exec(compile(block, f'README, block {index}', 'exec'), names)
  height, width = image.shape[:2]
  assert names['found'].patches.shape == (16, 7, 7, 3)
  assert names['samples'].shape == (16, 2)
  assert names['levels'][0].shape == (40, 48, 3)
  assert names['result'].mean.shape == (2 * height, 2 * width, 3)
  assert names['restored'].samples.shape == (4, height, width, 3)
  assert names['filled'].mean.shape == image.shape
  assert names['flow'].covariance.shape == (height, width, 2, 2)
  assert names['after'].mean.shape == (1, *image.shape)
  assert names['delta'].shape == (10, 3)


@pytest.mark.parametrize('line', command_lines())
def test_command_lines_have_flags_that_exist(line):
  name, *arguments = shlex.split(line)
  module = importlib.import_module(
    f'internal_diffusion.bin.{name.removeprefix("idiff-")}'
  )
  known = set(module._FLAGS)
  for argument in arguments:
    flag = argument.removeprefix('--').partition('=')[0].partition('.')[0]
    assert flag in known, argument


def test_public_names_are_imported_from_packages():
  modules = re.findall(
    r'^from (internal_diffusion[\w.]*)', README.read_text(), re.MULTILINE
  )
  for module in modules:
    found = importlib.import_module(module)
    assert hasattr(found, '__path__'), f'{module} is no package'
