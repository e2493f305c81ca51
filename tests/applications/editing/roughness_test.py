import numpy as np

from internal_diffusion.applications.editing.roughness import roughness

SIZE = (40, 48)


def test_slope_has_its_steps_and_hidden_pixels_are_not_used():
  row, column = np.indices(SIZE)
  image = (0.01 * row - 0.02 * column)[..., None].astype(np.float32)
  known = np.ones(SIZE, bool)
  known[10:20, 15:30] = False
  hidden = np.where(known[..., None], image, 5.0)
  found = roughness(hidden, known)
  assert found.shape == (*SIZE, 2)
  np.testing.assert_allclose(found[..., 0], 0.01, rtol=1e-3)
  np.testing.assert_allclose(found[..., 1], 0.02, rtol=1e-3)
