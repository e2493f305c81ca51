import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.diffusion import conditioning
from internal_diffusion.types import Condition

NUM = 20_000


@pytest.fixture
def cond():
  vector = jnp.arange(3 * NUM, dtype=jnp.float32).reshape(NUM, 3) % 7 + 1
  return Condition(level=jnp.arange(NUM) % 4, vector=vector)


def test_the_noise_has_the_level_asked_for(cond):
  sigma_aug = jnp.where(jnp.arange(NUM) < NUM // 2, 0.5, 2.0)
  found = conditioning.augment_condition(
    jax.random.key(0), cond, sigma_aug=sigma_aug
  )
  noise = np.asarray(found.vector - cond.vector)
  for part, level in ((noise[: NUM // 2], 0.5), (noise[NUM // 2 :], 2.0)):
    # Of 3e4 draws, mean and standard deviation stray by 1/170 and 1/240.
    assert abs(part.mean()) < 5 * level / 170
    assert abs(part.std() / level - 1) < 5 / 240
  np.testing.assert_array_equal(found.level, cond.level)


def test_no_noise_changes_nothing(cond):
  found = conditioning.augment_condition(jax.random.key(0), cond, sigma_aug=0.0)
  np.testing.assert_array_equal(found.vector, cond.vector)


def test_levels_are_log_uniform():
  draws = conditioning.draw_sigma_aug(
    jax.random.key(0), NUM, sigma_min=0.01, sigma_max=1.0
  )
  uniform = np.sort(np.log(draws) / np.log(100) + 1)
  # Kolmogorov-Smirnov at about 1e-6.
  steps = (np.arange(NUM) + 0.5) / NUM
  assert abs(uniform - steps).max() < 2.7 / np.sqrt(NUM)
  one = conditioning.draw_sigma_aug(
    jax.random.key(0), 3, sigma_min=0.5, sigma_max=0.5
  )
  np.testing.assert_allclose(one, 0.5, rtol=1e-6)


def test_conditions_are_dropped_at_the_rate(cond):
  found = conditioning.drop_condition(jax.random.key(0), cond, rate=0.2)
  assert found.given.shape == (NUM, 1)
  assert found.given.dtype == bool
  assert abs(found.given.mean() - 0.8) < 5 * np.sqrt(0.2 * 0.8 / NUM)
  np.testing.assert_array_equal(found.vector, cond.vector)
  np.testing.assert_array_equal(found.level, cond.level)


@pytest.mark.parametrize('rate', [0, 1])
def test_none_or_all_are_dropped_at_the_ends(cond, rate):
  found = conditioning.drop_condition(jax.random.key(0), cond, rate=rate)
  assert (np.asarray(found.given) != bool(rate)).all()


def test_a_random_set_of_parts_is_given(cond):
  masks = jnp.array([[False, False], [True, False], [True, True]])
  found = conditioning.give_parts(jax.random.key(0), cond, masks=masks)
  number = found.given.sum(axis=-1)
  assert (found.given[:, 0] | ~found.given[:, 1]).all()
  for count in range(3):
    share = (number == count).mean()
    assert abs(share - 1 / 3) < 5 * np.sqrt(2 / 9 / NUM)


def test_a_drawn_level_is_told(cond):
  found = conditioning.drawn_sigma_aug(
    jax.random.key(0), cond, sigma_min=0.1, sigma_max=10.0
  )
  relative = (found.vector - cond.vector) / found.sigma_aug[:, None]
  assert abs(float(relative.std()) - 1) < 5 / 240
  assert float(found.sigma_aug.min()) >= 0.0999
  assert float(found.sigma_aug.max()) <= 10.001
  # Levels and noise must come from different numbers.
  slope = np.corrcoef(np.log(found.sigma_aug), relative[:, 0])[0, 1]
  assert abs(slope) < 5 / np.sqrt(NUM)


def test_nothing_is_given(cond):
  assert not conditioning.without_vector(cond).given.any()


def test_a_key_a_sample_makes_results_independent_of_the_batch(cond):
  keys = jax.random.split(jax.random.key(1), 6)

  @jax.jit
  def prepare(keys, cond):
    sigma_aug = conditioning.draw_sigma_aug(
      keys, keys.shape[0], sigma_min=0.1, sigma_max=1.0
    )
    noisy = conditioning.augment_condition(keys, cond, sigma_aug=sigma_aug)
    return conditioning.drop_condition(keys, noisy, rate=0.5)

  whole = prepare(keys, jax.tree.map(lambda v: v[:6], cond))
  part = prepare(keys[2:4], jax.tree.map(lambda v: v[2:4], cond))
  for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(part), strict=True):
    np.testing.assert_allclose(a[2:4], b, rtol=1e-6)


def test_arguments_that_do_not_fit_are_refused(cond):
  key = jax.random.key(0)
  for sigma_aug in (-0.1, jnp.linspace(-1, 1, NUM), float('nan'), jnp.ones(2)):
    with pytest.raises(ValueError, match='sigma_aug'):
      conditioning.augment_condition(key, cond, sigma_aug=sigma_aug)
  with pytest.raises(ValueError, match='rate'):
    conditioning.drop_condition(key, cond, rate=1.1)
  with pytest.raises(ValueError, match='sigma_min'):
    conditioning.draw_sigma_aug(key, 2, sigma_min=0.0, sigma_max=1.0)
  with pytest.raises(ValueError, match='sigma_max'):
    conditioning.draw_sigma_aug(key, 2, sigma_min=0.2, sigma_max=0.1)
  with pytest.raises(ValueError, match='vector'):
    conditioning.augment_condition(key, Condition(), sigma_aug=0.1)
  with pytest.raises(ValueError, match='vector'):
    conditioning.drop_condition(key, Condition(), rate=0.1)
