import types

import numpy as np
import pytest
from scipy import ndimage
from skimage import data as photographs

from internal_diffusion.applications.restoration import Task, inspect
from internal_diffusion.applications.restoration.auto import (
  jpeg_quality,
  sharpness,
)

GREY = 2 / 255
STEPS_75_FIRST_ROW = [8, 6, 5, 8, 12, 20, 26, 31]


def photograph(side=192):
  return (photographs.camera()[:side, 100 : 100 + side, None] / 127.5) - 1


def jpeg_of(steps):
  return types.SimpleNamespace(planes=[types.SimpleNamespace(steps=steps)])


def standard_steps(quality):
  """Tables as libjpeg makes them, here for one flat table of 50s."""
  from internal_diffusion.applications.restoration.auto import _STEPS_50

  scale = 5000 // quality if quality < 50 else 200 - 2 * quality
  return np.clip((_STEPS_50 * scale + 50) // 100, 1, 255)


def test_noise_is_denoised():
  noise = np.random.default_rng(0).standard_normal((192, 192, 1))
  found = inspect(photograph() + 15 * GREY * noise)
  assert found.task is Task.DENOISE
  assert found.sigma == pytest.approx(15, rel=0.05)
  assert found.message == (
    f'Found noise of {found.sigma:.2g} grey levels; the task is denoise.'
  )


def test_blur_is_deblurred():
  blurred = ndimage.gaussian_filter(photograph()[..., 0], 1.5)[..., None]
  found = inspect(blurred)
  assert found.task is Task.DEBLUR
  assert 'blurred edges' in found.message


def test_clean_picture_is_said_to_be_clean():
  found = inspect(photograph())
  assert found.task is Task.DENOISE
  assert 'no damage' in found.message
  assert found.sigma < 2


def test_sharpness_of_an_edge():
  step = np.zeros((64, 64, 1))
  # At even positions, so that the halved edges are sharp too.
  for first in range(0, 64, 16):
    step[first : first + 8] += 1
    step[:, first : first + 8] += 1
  smooth = ndimage.gaussian_filter(step, (3, 3, 0))
  assert sharpness(step) == pytest.approx(1)
  assert sharpness(smooth) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize('quality', [10, 30, 75])
def test_low_quality_is_jpeg(quality):
  found = inspect(photograph(64), jpeg=jpeg_of(standard_steps(quality)))
  assert found.task is Task.JPEG
  assert abs(found.quality - quality) <= 1
  assert f'quality {found.quality}' in found.message


def test_high_quality_is_not_jpeg():
  found = inspect(photograph(), jpeg=jpeg_of(standard_steps(95)))
  assert found.task is not Task.JPEG
  assert found.quality == 95


def test_quality_of_a_known_row():
  assert standard_steps(75)[0].tolist() == STEPS_75_FIRST_ROW
  assert jpeg_quality(np.ones((8, 8))) > 97


def test_nan_and_mask_are_missing_pixels():
  image = photograph(32).astype(np.float32)
  image[3, 4] = np.nan
  mask = np.zeros((32, 32), bool)
  mask[5, 6] = True
  found = inspect(image, mask=mask)
  assert found.task is Task.INPAINT
  assert np.argwhere(found.missing).tolist() == [[3, 4], [5, 6]]
  assert '0.2% of the pixels missing' in found.message


def test_scribbles_are_colorized():
  image = photograph(32)
  found = inspect(image, scribbles=np.repeat(image, 3, axis=-1))
  assert found.task is Task.COLORIZE
  assert 'scribbles' in found.message


def test_one_colour_is_refused():
  with pytest.raises(ValueError, match='more than one colour'):
    inspect(np.zeros((32, 32, 3)))
