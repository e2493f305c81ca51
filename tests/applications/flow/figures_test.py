"""Where ellipses are drawn."""

import numpy as np

from internal_diffusion.applications.flow.figures import ellipse_centres


def test_centres_lie_within_frames_of_any_shape():
  rng = np.random.default_rng(0)
  sizes = [(160, 200), (24, 24), (5, 400), *rng.integers(20, 600, (50, 2))]
  for height, width in sizes:
    points, step = ellipse_centres((height, width))
    assert points.min() >= 0
    assert np.all(points < [width, height])
    assert len(points) == 12 * max(1, int(min(height, width) / step))
