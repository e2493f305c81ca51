"""Residuals of an image's smaller versions."""

import numpy as np
import pytest

from internal_diffusion.applications.super_resolution import (
  planes,
  residuals,
)
from internal_diffusion.applications.super_resolution.blocks import block_size


@pytest.fixture(scope='module')
def enlarged(upscaler, image):
  return residuals.enlarge_smaller_versions(upscaler, image[..., 0])


def test_all_planes_have_the_size_of_the_largest(enlarged):
  assert len({plane.mean.shape for plane in enlarged}) == 1
  for plane in enlarged:
    assert plane.residual.shape == plane.mean.shape
    assert all(2 * np.array(plane.low_size) <= plane.mean.shape)


def test_mean_and_residual_are_the_true_plane(enlarged, image):
  # The first version is the image itself, at scale 1 and without a shift.
  found = np.asarray(enlarged[0].mean) + enlarged[0].residual
  np.testing.assert_allclose(found, image[..., 0], atol=1e-6)


def test_residuals_are_mostly_detail(upscaler, enlarged):
  plane = enlarged[0]
  downscaling = upscaler.downscaling(plane.low_size)
  low = np.asarray(downscaling.apply(plane.residual[..., None]))
  assert np.std(low) < 0.02 * np.std(plane.residual)


def test_pairs_are_normalised(upscaler, enlarged):
  found = residuals.residual_pairs(upscaler, enlarged)
  reach, around = upscaler.residual_reach, upscaler.condition_reach
  assert found.target.shape[1] == block_size(2, reach) ** 2
  assert found.source.shape[1] == block_size(2, around) ** 2
  np.testing.assert_allclose(found.source.mean(axis=1), 0, atol=1e-4)
  scales = [2.0 * np.ones_like(plane.residual) for plane in enlarged]
  halved, whole = (
    residuals.residual_pairs(upscaler, enlarged, scales=given).target
    for given in (scales, [scale / 2 for scale in scales])
  )
  np.testing.assert_allclose(2 * halved, whole, atol=1e-6)


def with_decay(upscaler, enlarged, decay):
  """Planes of falling sizes whose residual falls by a power of the size."""
  mean = enlarged[0].mean
  scale = np.asarray(planes.scale_plane(upscaler, mean))
  return [
    residuals.EnlargedPlane(mean, scale * side**-decay, (side, side))
    for side in (16, 14, 12, 10)
  ]


@pytest.mark.parametrize('decay', [0.0, 0.7])
def test_decay_of_known_residuals(upscaler, enlarged, decay):
  found = residuals.scale_decay(upscaler, with_decay(upscaler, enlarged, decay))
  assert found == pytest.approx(decay, abs=1e-4)


def test_no_decay_is_known_of_one_size(upscaler, enlarged):
  assert residuals.scale_decay(upscaler, enlarged[:1]) == 0
