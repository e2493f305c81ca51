"""Bad input of idiff-restore: one line, and nothing half-written."""

import numpy as np
import pytest
from PIL import Image

from tests.bin import commands
from tests.bin.toy_restore import PHOTO, run, save


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  path = tmp_path_factory.mktemp('bad')
  save(path / 'photo.png', PHOTO)
  save(path / 'flat.png', np.zeros_like(PHOTO))
  save(path / 'tiny.png', PHOTO[:10])
  save(path / 'white.png', np.ones_like(PHOTO))
  save(path / 'black.png', -np.ones_like(PHOTO))
  np.save(path / 'even.npy', np.ones((4, 4)))
  np.save(path / 'large.npy', np.full((25, 3), 1 / 75))
  np.save(path / 'negative.npy', -np.ones((3, 3)))
  np.save(path / 'levels.npy', 255 * np.ones((24, 30)))
  np.save(path / 'bytes.npy', np.ones((24, 30), np.uint8))
  np.save(path / 'nan.npy', np.full((24, 30), np.nan))
  (path / 'text.png').write_text('no picture')
  return path


@pytest.mark.parametrize(
  ('image', 'arguments', 'words'),
  [
    ('', (), ('--image',)),
    ('no.png', (), ('no.png',)),
    ('text.png', (), ('text.png',)),
    ('tiny.png', ('--sigma=5',), ('16x16', '10x30')),
    ('photo.png', ('--sigma=-1',), ('--sigma', '-1')),
    ('photo.png', ('--sigma=much',), ('sigma', 'much')),
    ('photo.png', ('--task=sharpen',), ('task', 'sharpen')),
    ('photo.png', ('--num_samples=-1',), ('num_samples', '-1')),
    ('photo.png', ('--quality=0',), ('--quality', '0')),
    ('photo.png', ('--seed=-1',), ('--seed', '-1')),
    ('flat.png', ('--task=denoise',), ('--sigma', 'one colour')),
    ('flat.png', (), ('--sigma', 'one colour')),
    ('photo.png', ('--kernel={}/even.npy',), ('odd', '(4, 4)')),
    ('photo.png', ('--kernel={}/large.npy',), ('24x30', '25x3')),
    ('photo.png', ('--kernel={}/negative.npy',), ('kernel', '-9')),
    ('photo.png', ('--kernel={}/no.npy',), ('no.npy',)),
    ('photo.png', ('--mask={}/white.png',), ('--mask', 'white everywhere')),
    ('photo.png', ('--mask={}/black.png',), ('--mask', 'black everywhere')),
    ('photo.png', ('--mask={}/no.png',), ('no.png',)),
    ('photo.png', ('--task=inpaint',), ('--mask', 'required')),
    ('photo.png', ('--task=jpeg',), ('--quality', 'no JPEG')),
    ('photo.png', ('--task=colorize',), ('--scribbles', '--reference')),
    ('photo.png', ('--scribbles={}/tiny.png',), ('--scribbles', '10x30')),
    ('photo.png', ('--task=jpeg', '--kernel={}/k.npy'), ('k.npy',)),
    ('levels.npy', (), ('levels.npy', '255', 'divide')),
    ('bytes.npy', (), ('bytes.npy', 'uint8')),
    ('nan.npy', (), ('nan.npy', 'finite')),
    ('even.npy', ('--sigma=1',), ('16x16', '4x4')),
  ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
  folder, tmp_path, image, arguments, words
):
  given = [argument.format(folder) for argument in arguments]
  if image:
    given.append(f'--image={folder / image}')
  code, _, err = run(*given, f'--out={tmp_path / "out"}')
  commands.assert_one_line_and_nothing_written(code, err, tmp_path / 'out')
  for word in words:
    assert word in err


def test_an_input_of_another_task_is_refused(quick_restore, folder, tmp_path):
  mask = np.zeros((24, 30), np.uint8)
  mask[3:9] = 255
  Image.fromarray(mask).save(tmp_path / 'mask.png')
  code, _, err = run(
    f'--image={folder / "photo.png"}',
    '--task=denoise',
    f'--mask={tmp_path / "mask.png"}',
    f'--out={tmp_path / "out"}',
  )
  commands.assert_one_line_and_nothing_written(code, err, tmp_path / 'out')
  assert '--mask is for the task inpaint; the task is denoise' in err


def test_a_bad_picture_does_not_stop_the_others(
  quick_restore, folder, tmp_path
):
  code, _, err = run(
    f'--image={folder / "text.png"},{folder / "photo.png"}',
    '--sigma=5',
    f'--out={tmp_path / "out"}',
  )
  assert code == 3
  assert 'text.png failed' in err
  assert (tmp_path / 'out' / 'photo' / 'mean.png').exists()
