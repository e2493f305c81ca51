"""The same values compiled and not, for one key and for a key a sample."""

import chex
import jax
import jax.numpy as jnp
import pytest
from absl.testing import parameterized

from internal_diffusion import diffusion
from internal_diffusion.types import Condition

X0 = jnp.linspace(-1, 1, 12).reshape(4, 3)
SIGMA = jnp.array([0.1, 0.5, 1.0, 4.0])


def keys(*, is_batched):
  key = jax.random.key(0)
  return jax.random.split(key, len(X0)) if is_batched else key


class VariantsTest(chex.TestCase):
  @chex.variants(with_jit=True, without_jit=True)
  @parameterized.parameters(False, True)
  def test_a_perfect_denoiser_has_loss_0(self, is_batched):
    @self.variant
    def loss(key, x0, sigma):
      weight = diffusion.edm_weight(sigma, jnp.ones((1, 1)))
      return diffusion.denoising_loss(
        key, lambda x, sigma, cond: x0, x0, None, sigma, weight
      )

    found = loss(keys(is_batched=is_batched), X0, SIGMA)
    chex.assert_trees_all_equal(found, jnp.zeros(4))
    chex.assert_type(found, jnp.float32)

  @chex.variants(with_jit=True, without_jit=True)
  @parameterized.parameters(False, True)
  def test_dropping_keeps_all_but_the_mask(self, is_batched):
    cond = Condition(level=jnp.arange(4), vector=X0)
    drop = self.variant(
      lambda key, cond: diffusion.drop_condition(key, cond, rate=1.0)
    )
    found = drop(keys(is_batched=is_batched), cond)
    expected = cond._replace(given=jnp.zeros((4, 1), bool))
    chex.assert_trees_all_equal(found, expected)

  @chex.variants(with_jit=True, without_jit=True)
  def test_c_skip_at_sigma_data_is_a_half(self):
    coefficients = self.variant(diffusion.edm_coefficients)
    found = coefficients(SIGMA, SIGMA[:, None])
    chex.assert_trees_all_close(found.c_skip, jnp.full((4, 1), 0.5), rtol=1e-6)


@pytest.mark.parametrize(
  'weight', [diffusion.edm_weight, diffusion.wiener_weight]
)
def test_a_scalar_sigma_is_refused(weight):
  with pytest.raises(AssertionError, match='rank'):
    weight(jnp.float32(1.0), jnp.ones((1, 3)))
