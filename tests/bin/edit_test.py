"""idiff-edit as a person runs it."""

import numpy as np
import pytest
from PIL import Image

from internal_diffusion.data import image_io, metadata
from tests.bin import commands
from tests.bin.toy_edit import MASK, PHOTO, run, write_pictures


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  path = tmp_path_factory.mktemp('pictures')
  write_pictures(path)
  return path


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
