"""Noise levels and constraints of going from coarse to fine."""

import numpy as np
import pytest

from internal_diffusion.sampling import coarse_to_fine


def test_levels_are_even_times_of_the_linear_flow():
  sigmas = coarse_to_fine.linear_flow_sigmas(10)
  assert len(sigmas) == 11
  assert sigmas[0] == pytest.approx(100)
  assert sigmas[-1] == 0
  assert (np.diff(sigmas) < 0).all()
  # sigma / (1 + sigma) is the time.
  time = sigmas[:-2] / (1 + sigmas[:-2])
  wanted = np.arange(9, 0, -1) / 9 * 100 / 101
  np.testing.assert_allclose(time, wanted, rtol=1e-6)


def test_too_few_steps():
  with pytest.raises(ValueError, match='at least 2'):
    coarse_to_fine.linear_flow_sigmas(1)
