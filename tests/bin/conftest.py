"""A photograph and a run of idiff-train that the commands' tests share."""

import pytest
import skimage.data

from internal_diffusion.data import image_io
from tests.bin import commands, toy_restore


@pytest.fixture(scope='session')
def photo(tmp_path_factory):
  path = tmp_path_factory.mktemp('photo') / 'photo.png'
  image_io.write_image(path, 2 * skimage.data.coffee()[::4, ::4] / 255.0 - 1)
  return path


@pytest.fixture(scope='session')
def workdir(photo, tmp_path_factory):
  path = tmp_path_factory.mktemp('run') / 'photo'
  code, out, err = commands.run(
    *commands.train_command(photo, path, '--config.num_steps=10')
  )
  assert code == 0, err
  assert '10 steps' in out
  assert 'downscaled' in err  # The photograph is larger than max_side.
  return path


@pytest.fixture
def quick_restore():
  """Replaces each task of idiff-restore by one that takes no time."""
  with toy_restore.replaced_tasks():
    yield
