"""The U-Net's convolution."""

import jax
import numpy as np

from internal_diffusion.denoisers import unet


def test_a_convolution_is_that_of_xla():
  rng = np.random.default_rng(0)
  x = rng.standard_normal((2, 6, 5, 3)).astype(np.float32)
  conv = unet._Conv(4)
  params = conv.init(jax.random.key(0), x)
  dense = params['params']['Dense_0']
  expected = jax.lax.conv_general_dilated(
    x,
    dense['kernel'].reshape(3, 3, 3, 4),
    window_strides=(1, 1),
    padding='SAME',
    dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
  )
  np.testing.assert_allclose(conv.apply(params, x), expected, atol=1e-5)
