import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion.configs import default
from internal_diffusion.data import principal_basis
from internal_diffusion.denoisers.learned import LearnedParams
from internal_diffusion.training import examples as examples_lib
from internal_diffusion.training import objective

NUM = 6


def targets_of(x0, conditions, **options):
  """What the loss regresses on, seen through a denoiser that returns 0."""
  config = default.get_config()
  config.batch_size = config.num_references = 64
  config.noise.sigma_min, config.noise.sigma_max = 0.999, 1.0
  config.condition.update(options)
  examples = examples_lib.from_points(x0, conditions=conditions)
  loss_fn = objective.make_batch_loss_fn(
    examples, lambda p, z, sigma, cond: jnp.zeros_like(z), config
  )
  basis = principal_basis.standard_basis(1)
  params = LearnedParams({}, basis)
  loss = loss_fn(params, examples.data, jax.random.key(0), jnp.arange(64))
  # The weight of unit variance at sigma 1 is 2.
  return np.sqrt(np.asarray(loss) / 2)


def test_a_condition_without_noise_leaves_its_own_example():
  x0 = jnp.arange(1.0, NUM + 1)[:, None]
  found = targets_of(x0, x0)
  distance = abs(found[:, None] - np.asarray(x0)[:, 0][None]).min(axis=1)
  np.testing.assert_allclose(distance, 0, atol=5e-3)
  assert len(np.unique(found.round(2))) == NUM


def test_examples_that_share_a_condition_are_averaged():
  x0 = jnp.array([[1.0], [3.0]])
  found = targets_of(x0, jnp.zeros((2, 1)))
  assert found.min() > 1.0
  assert found.max() < 3.0
  assert found.std() > 0.1  # x still says which is likelier.


def test_noise_on_the_condition_widens_the_choice():
  x0 = jnp.array([[1.0], [3.0]])
  conditions = jnp.array([[0.0], [1.0]])
  sharp = targets_of(x0, conditions, sigma_aug=0.01)
  np.testing.assert_allclose(abs(sharp - 2), 1, atol=5e-3)
  wide = targets_of(x0, conditions, sigma_aug=5.0)
  assert abs(wide - 2).max() < 1


def test_a_target_has_the_mean_of_its_example():
  # Rao-Blackwell: averaging over what is not looked at changes no expectation.
  key = jax.random.key(3)
  x0 = jax.random.normal(key, (40, 1)) + 3
  conditions = x0 + 0.5 * jax.random.normal(jax.random.fold_in(key, 1), (40, 1))
  found = targets_of(x0, conditions, sigma_aug=0.5)
  # A batch's mean is over 64 draws of a spread of 1.
  assert abs(found.mean() - x0.mean()) < 4 / np.sqrt(64)
  assert found.std() < float(x0.std())
