import numpy as np
import pytest

from internal_diffusion.applications.restoration.seen_noise import (
  noise_of_seen,
)

ROW, COLUMN = np.indices((128, 128)) / 128
CLEAN = (0.6 * ROW - 0.4 * COLUMN)[..., None].astype(np.float32)


@pytest.mark.parametrize('missing', [0.03, 0.5])
def test_noise_is_found_under_holes(missing):
  rng = np.random.default_rng(0)
  mask = rng.random(CLEAN.shape[:2]) < missing
  noisy = CLEAN + 2 * 15 / 255 * rng.standard_normal(CLEAN.shape)
  noisy[mask] = 5
  assert noise_of_seen(noisy, mask) == pytest.approx(15, rel=0.15)
  assert noise_of_seen(np.where(mask[..., None], 5, CLEAN), mask) == 0


def test_too_few_seen_pixels_tell_nothing():
  rng = np.random.default_rng(0)
  mask = rng.random(CLEAN.shape[:2]) < 0.9
  assert noise_of_seen(rng.standard_normal(CLEAN.shape), mask) == 0
