import jax.numpy as jnp
import numpy as np

from internal_diffusion.denoisers.guided_mixture import GuidedMixture
from internal_diffusion.denoisers.masked_groups import make_masked_groups

SIDE, SIZE = 3, (20, 22)
RNG = np.random.default_rng(0)
GUIDE = jnp.float32(RNG.normal(size=(*SIZE, 1)))
MIXTURE = GuidedMixture(
  jnp.zeros(1), jnp.zeros((1, SIDE**2)), jnp.eye(SIDE**2)[None]
)


def groups(precision, **options):
  return make_masked_groups(
    GUIDE, MIXTURE, GUIDE, precision, patch_size=SIDE, stride=2, **options
  )


def test_exact_pixels_are_kept_and_certain():
  mean, variance = groups(jnp.full_like(GUIDE, 1e6)).posterior()
  np.testing.assert_allclose(mean, GUIDE, atol=1e-2)
  # The precision is bounded: 1e-4 of a patch's total variance remains.
  assert float(variance.max()) < 1e-3


def test_a_state_is_one_more_observation():
  # Nothing was observed, but the state has the noise that observations had.
  model = groups(jnp.zeros_like(GUIDE))
  found = model(GUIDE[None], jnp.float32(0.5))[0]
  wanted, _ = groups(jnp.full_like(GUIDE, 4.0)).posterior()
  np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_hidden_variance_makes_less_certain():
  precision = jnp.full_like(GUIDE, 4.0)
  _, less = groups(precision).posterior()
  _, more = groups(precision, hidden_share=1.0).posterior()
  assert float(jnp.min(more - less)) >= 0
  assert float(jnp.mean(more)) > 1.05 * float(jnp.mean(less))


def test_only_wanted_pixels_are_estimated():
  wanted = np.zeros(SIZE, bool)
  wanted[5, 7] = True
  precision = jnp.where(jnp.asarray(wanted)[..., None], 0, 4.0)
  mean, variance = groups(precision).posterior()
  found, spread = groups(precision, wanted=wanted).posterior()
  # Every patch that holds the pixel is estimated.
  np.testing.assert_allclose(found[5, 7], mean[5, 7], rtol=1e-5)
  np.testing.assert_allclose(spread[5, 7], variance[5, 7], rtol=1e-5)
  # A pixel that no patch covers keeps its value.
  np.testing.assert_array_equal(found[-1, -1], GUIDE[-1, -1])
  assert float(spread[-1, -1, 0]) == 0
