"""idiff-edit as a person runs it."""

import numpy as np
import pytest
import skimage.data
from PIL import Image

from internal_diffusion.data import image_io, metadata
from tests.bin import commands

PHOTO = (2 * skimage.data.coffee()[20:400:16, 40:584:16] / 255.0 - 1).astype(
  np.float32
)  # 24x34 pixels.
MASK = np.zeros((24, 34), bool)
MASK[8:14, 10:18] = True


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  path = tmp_path_factory.mktemp('pictures')
  kept = metadata.Metadata(dpi=(300.0, 300.0))
  image_io.write_image(path / 'photo.png', PHOTO, bit_depth=16, metadata=kept)
  image_io.write_image(path / 'small.png', PHOTO[:9, :9])
  image_io.write_image(path / 'tiny.png', PHOTO[:6, :6])
  image_io.write_image(path / 'grey.png', PHOTO[..., :1])
  image_io.write_image(path / 'flipped.png', PHOTO[:, ::-1])
  pasted = PHOTO.copy()
  pasted[MASK] = 0.6 * (pasted[MASK] + 1) - 1
  image_io.write_image(path / 'pasted.png', pasted)
  alpha = np.where(MASK, -1, 1)[..., None].astype(np.float32)
  image_io.write_image(
    path / 'alpha.png', np.concatenate([PHOTO, alpha], axis=-1)
  )
  image_io.write_image(path / 'mask.png', -alpha)
  # Larger, 1 bit, and black where it changes.
  large = Image.fromarray(~MASK.repeat(2, 0).repeat(2, 1))
  large.save(path / 'inverted.png')
  for name, value in {'black': -1.0, 'white': 1.0}.items():
    image_io.write_image(path / f'{name}.png', np.full((24, 34, 1), value))
  return path


def run(folder, out, *arguments):
  arguments = [argument.format(folder=folder) for argument in arguments]
  return commands.run('edit', *arguments, f'--out={out}')


def test_harmonize_writes_everything_and_keeps_the_mode(folder, tmp_path):
  code, printed, err = run(
    folder,
    tmp_path,
    '--mode=harmonize',
    '--image={folder}/photo.png',
    '--mask={folder}/mask.png',
    '--num_samples=2',
  )
  assert (code, err) == (0, '')
  assert 'harmonize, 2 pictures' in printed
  assert {p.name for p in tmp_path.iterdir()} == {
    'comparison.png',
    'difference.png',
    'index.html',
    'input.png',
    'mask.png',
    'report.json',
    'sample_000.png',
    'sample_001.png',
  }
  report = commands.assert_report(tmp_path / 'report.json')
  assert len(report['figures']['found']['tones']) == 2
  made, depth = image_io.read_image_with_alpha(tmp_path / 'sample_000.png')
  photo, _ = image_io.read_image_with_alpha(folder / 'photo.png')
  assert depth == 16
  np.testing.assert_array_equal(made[~MASK], photo[~MASK])
  kept = metadata.read_metadata(tmp_path / 'sample_000.png')
  assert kept.dpi == pytest.approx((300, 300), abs=1)


def test_a_mask_of_another_size_is_resized_and_turned_round(folder, tmp_path):
  code, _, err = run(
    folder,
    tmp_path,
    '--mode=harmonize',
    '--image={folder}/pasted.png',
    '--mask={folder}/inverted.png',
    '--invert_mask',
    '--num_samples=1',
  )
  assert code == 0, err
  assert 'resized from 48x68 to 24x34' in err
  pasted = image_io.read_image(folder / 'pasted.png')
  made = image_io.read_image(tmp_path / 'sample_000.png')
  np.testing.assert_array_equal(made[~MASK], pasted[~MASK])
  assert not (tmp_path / 'difference.png').exists()


def test_the_background_stands_for_the_mask(folder, tmp_path):
  code, _, err = run(
    folder,
    tmp_path,
    '--mode=harmonize',
    '--image={folder}/pasted.png',
    '--guide={folder}/photo.png',
    '--num_samples=1',
  )
  assert code == 0, err


def test_transparent_pixels_are_filled(folder, tmp_path):
  code, _, err = run(
    folder,
    tmp_path,
    '--mode=fill',
    '--image={folder}/alpha.png',
    '--num_samples=1',
  )
  assert code == 0, err
  made, _ = image_io.read_image_with_alpha(tmp_path / 'sample_000.png')
  assert made.shape == PHOTO.shape
  image, _ = image_io.read_image_with_alpha(folder / 'alpha.png')
  np.testing.assert_array_equal(made[~MASK], image[~MASK][:, :3])


def test_transparency_stays_where_nothing_changes(folder, tmp_path):
  code, _, err = run(
    folder,
    tmp_path,
    '--mode=extend',
    '--image={folder}/alpha.png',
    '--expand=0,6,0,0',
    '--num_samples=1',
  )
  assert code == 0, err
  made, _ = image_io.read_image_with_alpha(tmp_path / 'sample_000.png')
  assert made.shape == (24, 40, 4)
  np.testing.assert_array_equal(made[:, :34, 3] < 0, MASK)
  assert (made[:, 34:, 3] == 1).all()


def test_a_path_is_an_animation(folder, tmp_path):
  code, _, err = run(
    folder,
    tmp_path,
    '--mode=interpolate',
    '--image={folder}/photo.png',
    '--guide={folder}/flipped.png',
    '--num_samples=3',
  )
  assert code == 0, err
  with Image.open(tmp_path / 'path.gif') as animation:
    assert animation.n_frames == 4


def test_a_grey_picture_is_painted_at_another_size(folder, tmp_path):
  code, _, err = run(
    folder,
    tmp_path,
    '--mode=paint',
    '--image={folder}/grey.png',
    '--guide={folder}/grey.png',
    '--size=20x40',
    '--num_samples=1',
  )
  assert code == 0, err
  made, _ = image_io.read_image_with_alpha(tmp_path / 'sample_000.png')
  assert made.shape == (20, 40, 1)
  assert (tmp_path / 'sample_000_trace.gif').exists()


def test_a_region_is_copied(folder, tmp_path):
  code, _, err = run(
    folder,
    tmp_path,
    '--mode=rearrange',
    '--image={folder}/photo.png',
    '--mask={folder}/mask.png',
    '--move=5,12',
    '--mirror=horizontal',
    '--copy',
    '--num_samples=1',
  )
  assert code == 0, err
  made = image_io.read_image(tmp_path / 'sample_000.png')
  changed = np.abs(made - PHOTO).max(-1) > 2 / 255
  assert changed.any()
  assert not changed[MASK].any()


@pytest.mark.parametrize(
  ('arguments', 'words'),
  [
    (('--image={folder}/photo.png',), ('--mode is required',)),
    (('--mode=blend', '--image={folder}/photo.png'), ('harmonize', 'blend')),
    (('--mode=fill',), ('--image is required',)),
    (
      ('--mode=fill', '--image={folder}/photo.png'),
      ('--mask is required', 'fill'),
    ),
    (
      ('--mode=paint', '--image={folder}/photo.png'),
      ('--guide is required', 'paint'),
    ),
    (
      (
        '--mode=fill',
        '--image={folder}/photo.png',
        '--mask={folder}/black.png',
      ),
      ('--mask', 'black everywhere', 'white where', '--invert_mask'),
    ),
    (
      (
        '--mode=rearrange',
        '--image={folder}/photo.png',
        '--mask={folder}/white.png',
        '--move=1,1',
      ),
      ('--mask', 'white everywhere', 'be white where', '--invert_mask'),
    ),
    (
      (
        '--mode=fill',
        '--image={folder}/photo.png',
        '--mask={folder}/white.png',
        '--invert_mask',
      ),
      ('--mask', 'white everywhere', 'be black where', 'without'),
    ),
    (
      ('--mode=interpolate', '--image={folder}/photo.png'),
      ('--guide is required', 'interpolate'),
    ),
    (
      (
        '--mode=remove',
        '--image={folder}/photo.png',
        '--mask={folder}/mask.png',
        '--grow=-1',
      ),
      ('--grow', '0 or more', '-1'),
    ),
    (
      (
        '--mode=remove',
        '--image={folder}/photo.png',
        '--mask={folder}/mask.png',
        '--grow=500',
      ),
      ('--grow 500', 'whole picture'),
    ),
    (
      ('--mode=extend', '--image={folder}/photo.png', '--size=big'),
      ('--size=big', '2 whole numbers'),
    ),
    (
      (
        '--mode=harmonize',
        '--image={folder}/photo.png',
        '--mask={folder}/black.png',
        '--invert_mask',
      ),
      ('--mask', 'black everywhere', '--invert_mask'),
    ),
    (
      (
        '--mode=rearrange',
        '--image={folder}/photo.png',
        '--mask={folder}/mask.png',
        '--move=90,0',
      ),
      ('--move 90,0', 'outside', '-8 to 10'),
    ),
    (
      (
        '--mode=rearrange',
        '--image={folder}/photo.png',
        '--mask={folder}/mask.png',
      ),
      ('must change',),
    ),
    (
      (
        '--mode=rearrange',
        '--image={folder}/photo.png',
        '--mask={folder}/mask.png',
        '--scale=9',
      ),
      ('larger than the picture',),
    ),
    (
      (
        '--mode=paint',
        '--image={folder}/photo.png',
        '--guide={folder}/grey.png',
      ),
      ('--guide', '1 channels'),
    ),
    (
      (
        '--mode=extend',
        '--image={folder}/photo.png',
        '--expand=0,0,0,0',
      ),
      ('--expand', 'not all 0'),
    ),
    (
      (
        '--mode=extend',
        '--image={folder}/photo.png',
        '--expand=0,900000,900000,0',
      ),
      ('--expand to 900024x900034', 'memory'),
    ),
    (
      (
        '--mode=extend',
        '--image={folder}/alpha.png',
        '--size=900000x900000',
      ),
      ('--size 900000x900000', 'memory'),
    ),
    (('--mode=extend', '--image={folder}/photo.png'), ('neither',)),
    (
      ('--mode=extend', '--image={folder}/photo.png', '--size=20x50'),
      ('--size', '24x34'),
    ),
    (
      (
        '--mode=reference',
        '--image={folder}/photo.png',
        '--guide={folder}/small.png',
        '--factor=2',
      ),
      ('--guide', '12x17'),
    ),
    (
      (
        '--mode=vary',
        '--image={folder}/photo.png',
        '--strength=1.5',
      ),
      ('--strength', '1.5'),
    ),
    (
      (
        '--mode=vary',
        '--image={folder}/photo.png',
        '--factor=4',
      ),
      ('--factor', 'reference', 'vary'),
    ),
    (
      (
        '--mode=vary',
        '--image={folder}/photo.png',
        '--mask={folder}/mask.png',
      ),
      ('--mask', 'vary'),
    ),
    (
      ('--mode=vary', '--image={folder}/tiny.png'),
      ('patch',),
    ),
    (
      (
        '--mode=harmonize',
        '--image={folder}/photo.png',
        '--guide={folder}/photo.png',
      ),
      ('--guide', 'nowhere'),
    ),
  ],
)
def test_bad_input_gives_one_line_and_code_2(
  folder, tmp_path, arguments, words
):
  out = tmp_path / 'out'
  code, _, err = run(folder, out, *arguments)
  commands.assert_one_line_and_nothing_written(code, err, out)
  for word in words:
    assert word in err
