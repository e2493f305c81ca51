"""The package as a person installs it: sdist, wheel, an empty environment."""

import os
import pathlib
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile

import pytest
import skimage.data

import internal_diffusion
from internal_diffusion.data import image_io
from tests.bin import commands

ROOT = pathlib.Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']

pytestmark = pytest.mark.long


def check_output(*arguments, cwd):
  """Runs a program outside the checkout and returns its standard output."""
  environment = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}
  done = subprocess.run(
    list(map(str, arguments)),
    cwd=cwd,
    env=environment,
    capture_output=True,
    text=True,
    timeout=600,
  )
  assert done.returncode == 0, done.stdout + done.stderr
  return done.stdout


@pytest.fixture(scope='module')
def dist(tmp_path_factory):
  """A folder with an sdist and the wheel that was built from it."""
  folder = tmp_path_factory.mktemp('dist')
  build = (sys.executable, '-m', 'build', '--outdir', folder, ROOT)
  check_output(*build, cwd=folder)
  return folder


@pytest.fixture(scope='module')
def installed(dist, tmp_path_factory):
  """The folder of programs of an environment with the wheel and no checkout."""
  folder = tmp_path_factory.mktemp('environment')
  venv.create(folder, with_pip=True)
  (wheel,) = dist.glob('*.whl')
  python = folder / 'bin' / 'python'
  check_output(python, '-m', 'pip', 'install', '--quiet', wheel, cwd=folder)
  return folder / 'bin'


def test_wheel_and_sdist_hold_the_configurations(dist):
  (wheel,), (sdist,) = dist.glob('*.whl'), dist.glob('*.tar.gz')
  names = {path.name for path in (ROOT / 'configs').glob('*.py')}
  with zipfile.ZipFile(wheel) as archive:
    in_wheel = archive.namelist()
  with tarfile.open(sdist) as archive:
    in_sdist = archive.getnames()
  top = sdist.name.removesuffix('.tar.gz')
  for name in names:
    assert f'internal_diffusion/configs/{name}' in in_wheel
    assert f'{top}/configs/{name}' in in_sdist
  assert 'internal_diffusion/py.typed' in in_wheel


def test_package_comes_from_the_wheel(installed, tmp_path):
  code = 'import internal_diffusion; print(internal_diffusion.__file__)'
  place = check_output(installed / 'python', '-c', code, cwd=tmp_path)
  assert place.startswith(str(installed.parent))


@pytest.mark.parametrize('name', PROJECT['scripts'])
def test_every_command_starts(installed, tmp_path, name):
  version = check_output(installed / name, '--version', cwd=tmp_path)
  assert version.split() == [name, internal_diffusion.__version__]
  assert name in check_output(installed / name, '--help', cwd=tmp_path)


def test_a_small_training(installed, tmp_path):
  image = 2 * skimage.data.coffee()[::8, ::8] / 255.0 - 1
  image_io.write_image(tmp_path / 'photo.png', image)
  check_output(
    installed / 'idiff-train',
    '--config=patch',
    '--config.image=photo.png',
    '--config.num_steps=10',
    '--workdir=run',
    *commands.SMALL,
    cwd=tmp_path,
  )
  assert (tmp_path / 'run' / 'report.json').exists()
