import numpy as np

from internal_diffusion.applications.editing import Edited
from internal_diffusion.applications.editing.edited import from_samples


def test_std_is_between_samples():
  samples = np.random.default_rng(0).uniform(-2, 2, (3, 4, 5, 1))
  edited = from_samples(samples, {'mode': 'fill'})
  assert isinstance(edited, Edited)
  assert edited.samples.dtype == edited.std.dtype == np.float32
  assert np.abs(edited.samples).max() <= 1
  np.testing.assert_allclose(
    edited.std, samples.clip(-1, 1).std(axis=0), atol=1e-6
  )
  assert edited.found == {'mode': 'fill'}


def test_one_sample_has_no_spread():
  edited = from_samples(np.full((1, 2, 2, 3), 0.5), {})
  assert not edited.std.any()
