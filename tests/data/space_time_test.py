import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.data.resampling import Border, resample
from internal_diffusion.data.space_time import SpaceTimeDownscaling

CLIP = jax.random.uniform(jax.random.key(0), (6, 12, 16, 2))


def test_frames_are_downscaled_as_images_and_time_as_a_line():
  low = SpaceTimeDownscaling.create((6, 6, 8), (6, 12, 16)).apply(CLIP)
  np.testing.assert_allclose(low, resample(CLIP, (6, 8)), atol=1e-6)
  still = jnp.broadcast_to(CLIP[:1], CLIP.shape)
  operator = SpaceTimeDownscaling.create((3, 6, 8), (6, 12, 16))
  low = operator.apply(still)
  assert low.shape == (3, 6, 8, 2)
  np.testing.assert_allclose(low[1], resample(CLIP[0], (6, 8)), atol=1e-5)
  np.testing.assert_allclose(
    operator.apply(CLIP), resample(CLIP, (3, 6, 8)), atol=1e-5
  )


def test_a_smooth_clip_comes_back():
  time = np.linspace(0, np.pi, 12).reshape(12, 1, 1, 1)
  smooth = jnp.asarray(np.sin(time) * np.ones((12, 8, 8, 1)), jnp.float32)
  operator = SpaceTimeDownscaling.create((6, 4, 4), (12, 8, 8))
  back = operator.interpolate(operator.apply(smooth))
  np.testing.assert_allclose(back[2:-2], smooth[2:-2], atol=0.03)
  assert operator.output_size == (6, 4, 4)
  assert operator.at_size((4, 8, 8)).output_size == (4, 4, 4)


def test_a_loop_wraps_in_time():
  operator = SpaceTimeDownscaling.create(
    (3, 12, 16), (6, 12, 16), time_border=Border.WRAP
  )
  rolled = jnp.roll(CLIP, 2, axis=0)
  np.testing.assert_allclose(
    operator.apply(rolled), jnp.roll(operator.apply(CLIP), 1, axis=0), atol=1e-5
  )
  with pytest.raises(ValueError, match='high_size'):
    SpaceTimeDownscaling.create((7, 6, 8), (6, 12, 16))
