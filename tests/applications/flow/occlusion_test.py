"""Pixels that the other frame does not show."""

import numpy as np

from internal_diffusion.applications.flow import occlusion

SIZE = (10, 12)


def test_disagreement_is_an_occlusion_unless_the_field_is_uncertain():
  mean = np.zeros((*SIZE, 2))
  mean[:, -1, 0] = 1  # Leads outside.
  disagreement = np.zeros((*SIZE, 2))
  disagreement[4:6] = 0.6
  covariance = np.broadcast_to(1e-4 * np.eye(2), (*SIZE, 2, 2)).copy()
  covariance[5] = 0.1 * np.eye(2)
  found = occlusion.occlusion_probability(mean, disagreement, covariance)
  assert (found[:, -1] == 1).all()
  assert (found[4] > 0.5).all()
  assert (found[5, :-1] < 0.5).all()
  assert (found[:4, :-1] < 0.02).all()


def test_flows_that_cancel_lead_back():
  there = np.zeros((*SIZE, 2), np.float32)
  there[..., 0] = 3
  back = -there
  back[:, 6] = 0  # What moves from column 3 is covered.
  found = np.asarray(occlusion.leads_back(there, back))
  assert not found[:, 3].any()
  assert not found[:, -3:].any()  # These leave the frame.
  assert found[:, [0, 1, 2, 4, 5, 6, 7, 8]].all()


def test_an_unknown_pixel_moves_with_its_own_surface():
  guide = np.zeros((30, 40, 1), np.float32)
  guide[:, 20:] = 1
  flow = np.zeros((30, 40, 2), np.float32)
  flow[:, 20:, 0] = 9
  known = np.ones((30, 40), bool)
  known[5:25, 12:20] = False
  known[5:25, 26:30] = False
  wrong = np.where(known[..., None], flow, 50)
  wrong[:, 20:22, 0] = 0  # Matches that show both surfaces.
  np.testing.assert_array_equal(occlusion.fill(wrong, known, guide), flow)
  nothing = np.zeros_like(known)
  assert occlusion.fill(wrong, nothing, guide) is wrong
