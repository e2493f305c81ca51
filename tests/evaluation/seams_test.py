"""Seams, coherence and detail of holes whose fills are known."""

import numpy as np
import pytest
from scipy import ndimage

from internal_diffusion.evaluation.seams import (
  hole_coherence,
  hole_detail,
  seam_p_value,
)

SIZE = (96, 96)
HOLE = np.zeros(SIZE, bool)
HOLE[16:80, 16:80] = True


@pytest.fixture(scope='module')
def texture():
  noise = np.random.default_rng(0).normal(size=SIZE)
  smooth = ndimage.gaussian_filter(noise, 1.5)
  return (0.2 * smooth / smooth.std())[..., None].astype(np.float32)


def filled(picture, values):
  return np.where(HOLE[..., None], values, picture)


def test_a_picture_without_a_hole_has_no_seam(texture):
  assert seam_p_value(texture, HOLE) > 0.05


def test_a_step_and_a_blur_at_the_border_are_seams(texture):
  assert seam_p_value(filled(texture, texture + 0.5), HOLE) < 1e-3
  blurred = ndimage.gaussian_filter(texture, (4, 4, 0))
  # The border is smoothed as well, as a blended fill has it.
  near = ndimage.binary_dilation(HOLE) & ~ndimage.binary_erosion(HOLE)
  soft = np.where(near[..., None], 0.1 * blurred, texture)
  assert seam_p_value(soft, HOLE) < 1e-3


def test_pairs_do_not_wrap_around_the_picture(texture):
  at_edge = np.zeros(SIZE, bool)
  at_edge[:2] = True
  # Only the far edge is rough, which no pair across the border comes near.
  rough = texture.copy()
  rough[-8:] *= 50
  assert seam_p_value(rough, at_edge) == seam_p_value(texture, at_edge)


def test_coherence_of_a_repeated_pattern_is_zero():
  row, column = np.indices((40, 40))
  board = np.where((row // 3 + column // 3) % 2, 0.6, -0.4)[..., None]
  hole = np.zeros((40, 40), bool)
  hole[14:22, 14:22] = True
  board = board.astype(np.float32)
  assert hole_coherence(board, hole) == pytest.approx(0, abs=1e-3)


def test_coherence_of_a_flat_picture_is_the_distance_of_the_fill():
  flat = np.zeros((40, 40, 1), np.float32)
  hole = np.zeros((40, 40), bool)
  hole[10:30, 10:30] = True
  shifted = np.where(hole[..., None], 0.5, flat).astype(np.float32)
  # Patches of one pixel: those that touch the hole are 0.5 away.
  found = hole_coherence(shifted, hole, patch_size=1)
  assert found == pytest.approx(0.5, rel=1e-3)


def test_detail_is_a_ratio_of_energies(texture):
  assert hole_detail(texture, texture, HOLE) == pytest.approx(1)
  assert hole_detail(0.5 * texture, texture, HOLE) == pytest.approx(0.25)
  assert hole_detail(0 * texture, texture, HOLE) == 0
