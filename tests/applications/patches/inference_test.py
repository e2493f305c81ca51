import jax
import jax.numpy as jnp
import numpy as np
import pytest
from internal_diffusion.applications.model_sampling import (
  guided_denoise_fn,
  make_model_sample_fn,
)

from internal_diffusion.configs import default
from internal_diffusion.data import distributions, principal_basis, synthetic
from internal_diffusion.diffusion import conditioning
from internal_diffusion.training import examples as examples_lib
from internal_diffusion.training.fit import fit


def make_config(distribution):
  config = default.get_config()
  config.distribution = distribution
  config.patch_size = 3
  config.triplet.vertical = config.triplet.horizontal = (-1, 1)
  config.pyramid.min_side = 10**6
  config.network.width = 16
  config.network.depth = 1
  config.network.embedding_dim = 8
  config.batch_size = config.num_references = 32
  config.num_devices = 1
  config.num_steps = config.steps_per_call = 3
  config.sampling.num_steps = 2
  return config


def make_model(distribution, **condition):
  config = make_config(distribution)
  config.condition.update(condition)
  image = synthetic.checkerboard(num_blocks=3, block_size=4)
  return fit(examples_lib.from_image(image, config), config)


@pytest.fixture(scope='module')
def guided_model():
  return make_model('target_given_source', dropout=0.5)


@pytest.fixture(scope='module')
def joint_model():
  return make_model('joint')


def source_and_delta(num=4):
  return {
    'source': jnp.linspace(-1, 1, 9 * num).reshape(num, 9),
    'delta': jnp.full((num, 3), 0.3),
  }


@pytest.mark.parametrize(
  ('distribution', 'given', 'dim'),
  [
    ('patch', (), 9),
    ('target_given_source', ('source', 'delta'), 9),
    ('delta_given_pair', ('source', 'target'), 3),
    ('joint', ('source', 'target'), 21),
  ],
)
def test_all_four_train_and_sample(distribution, given, dim):
  model = make_model(distribution)
  parts = {'source': 9, 'target': 9, 'delta': 3}
  cond = distributions.Condition(level=jnp.zeros(5, jnp.int32))
  if given:
    cond = distributions.make_condition(
      model.layout, **{n: jnp.ones((5, parts[n])) for n in given}
    )
  found = make_model_sample_fn(model)(model.params, jax.random.key(0), cond)
  assert found.shape == (5, dim)
  assert np.isfinite(found).all()


def test_given_parts_of_a_joint_come_back_as_they_are(joint_model):
  given = source_and_delta()
  cond = distributions.make_condition(joint_model.layout, **given)
  found = make_model_sample_fn(joint_model)(
    joint_model.params, jax.random.key(0), cond
  )
  parts = distributions.split(found, joint_model.layout.x0)
  for name, value in given.items():
    np.testing.assert_allclose(parts[name], value, atol=1e-5)
  assert abs(parts['target'] - 0).max() > 0


def test_a_joint_answers_by_what_is_given_alone(joint_model):
  # What is not given, and the noise on what is, must not matter.
  given = source_and_delta()
  cond = distributions.make_condition(joint_model.layout, **given)
  other = cond._replace(vector=cond.vector.at[:, 9:18].set(7.0))
  z = jax.random.normal(jax.random.key(0), (4, 21))
  noisy = z.at[:, :9].add(1.0).at[:, 18:].add(-1.0)
  first, second = (
    joint_model.principal_denoise_fn(
      joint_model.params, values, jnp.float32(0.5), c
    )
    for values, c in ((z, cond), (noisy, other))
  )
  np.testing.assert_allclose(first, second, atol=1e-5)


def test_guidance_is_conditional_at_1_and_unconditional_at_0(guided_model):
  model = guided_model
  cond = distributions.make_condition(model.layout, **source_and_delta())
  z = jax.random.normal(jax.random.key(1), (4, 9))
  sigma = jnp.float32(0.7)

  def guided(weight):
    denoise_fn = guided_denoise_fn(model, guidance_weight=weight)
    return denoise_fn(model.params, z, sigma, cond)

  conditional = model.principal_denoise_fn(model.params, z, sigma, cond)
  unconditional = model.principal_denoise_fn(
    model.params, z, sigma, conditioning.without_vector(cond)
  )
  np.testing.assert_allclose(guided(1.0), conditional, atol=1e-6)
  np.testing.assert_allclose(guided(0.0), unconditional, atol=1e-6)
  np.testing.assert_allclose(
    guided(3.0), 3 * conditional - 2 * unconditional, atol=1e-5
  )
  assert abs(conditional - unconditional).max() > 1e-4


def test_guidance_needs_dropout():
  model = make_model('target_given_source')
  with pytest.raises(ValueError, match=r'condition\.dropout'):
    make_model_sample_fn(model, guidance_weight=2.0)
  with pytest.raises(ValueError, match='this has none'):
    make_model_sample_fn(make_model('patch'), guidance_weight=2.0)


def test_conditions_of_the_wrong_shape_are_refused(guided_model):
  sample_fn = make_model_sample_fn(guided_model)
  cond = distributions.make_condition(guided_model.layout, **source_and_delta())
  for vector, words in (
    (None, 'got None'),
    (cond.vector[:, :-1], r'\[B, 12\], the parts source 9, delta 3'),
  ):
    with pytest.raises(ValueError, match=words):
      sample_fn(
        guided_model.params,
        jax.random.key(0),
        cond._replace(vector=vector),
      )


@pytest.mark.parametrize(
  ('field', 'value', 'words'),
  [
    ('condition.sigma_aug', -0.1, 'condition.sigma_aug'),
    ('condition.sigma_aug_max', 0.5, 'condition.sigma_aug_max'),
    ('condition.dropout', 1.5, 'condition.dropout'),
    ('triplet.horizontal', (-10, 10), 'horizontal.*at most 9'),
    ('triplet.level_steps', (1,), 'level_steps'),
    ('distribution', 'everything', 'distribution'),
    ('num_references', 8, 'num_references'),
  ],
)
def test_bad_fields_are_refused_before_training(field, value, words):
  config = make_config('delta_given_pair')
  *path, name = field.split('.')
  node = config
  for step in path:
    node = node[step]
  node[name] = value
  image = synthetic.checkerboard(num_blocks=3, block_size=4)
  with pytest.raises(ValueError, match=words):
    fit(examples_lib.from_image(image, config), config)


def test_untrained_and_unconditioned_it_is_the_wiener_filter():
  # With nothing given, the first denoiser of a joint is that of its parts.
  config = make_config('joint')
  config.num_steps = config.steps_per_call = 1
  config.optimizer.learning_rate = 1e-9
  image = synthetic.checkerboard(num_blocks=3, block_size=4)
  model = fit(examples_lib.from_image(image, config), config)
  vectors = jax.random.normal(jax.random.key(0), (6, 21))
  cond = distributions.Condition(
    level=jnp.zeros(6, jnp.int32),
    vector=vectors,
    given=jnp.zeros((6, 1), bool),
  )
  z = principal_basis.to_principal(model.params.basis, vectors)
  denoised = model.principal_denoise_fn(model.params, z, jnp.float32(0.6), cond)
  variance = model.params.basis.stddev[:1] ** 2
  np.testing.assert_allclose(
    denoised, z * variance / (variance + 0.36), atol=1e-4
  )
