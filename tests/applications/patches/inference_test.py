"""Sampling from models of patches and of the other distributions."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.applications import patches
from internal_diffusion.applications.patches import inference
from internal_diffusion.applications.patches.examples import image_examples
from internal_diffusion.compilation import measure_compilation
from internal_diffusion.data import distributions, principal_basis, synthetic
from internal_diffusion.diffusion import conditioning
from internal_diffusion.options import replace
from internal_diffusion.training.denoising import fit_denoiser, make_denoiser
from internal_diffusion.types import Condition


def make_options(distribution, **changes):
  return replace(
    patches.PatchOptions(),
    distribution=distribution,
    patch_size=3,
    triplet={'vertical': (-1, 1), 'horizontal': (-1, 1)},
    network={'width': 16, 'depth': 1, 'embedding_dim': 8},
    batch_size=32,
    num_references=32,
    num_devices=1,
    num_steps=3,
    steps_per_call=3,
    sampling={'num_steps': 2},
    **changes,
  )


def checkerboard():
  return synthetic.checkerboard(num_blocks=3, block_size=4)


def make_examples(options):
  return image_examples(checkerboard(), options)


def learn(distribution, **changes):
  options = make_options(distribution, **changes)
  return fit_denoiser(make_examples(options), options).model, options


@pytest.fixture(scope='module')
def guided():
  return learn('target_given_source', condition={'dropout': 0.5})


@pytest.fixture(scope='module')
def joint():
  return learn('joint')


def source_and_delta(num=4):
  return {
    'source': jnp.linspace(-1, 1, 9 * num).reshape(num, 9),
    'delta': jnp.full((num, 3), 0.3),
  }


def test_patches_are_those_of_the_levels_they_were_drawn_for(model):
  key = jax.random.key(0)
  found = patches.sample_patches(key, model, num=400)
  assert found.patches.shape == (400, 5, 5, 3)
  assert abs(found.patches).max() <= 1
  # Levels are drawn in proportion to their numbers of patches.
  num = [(h - 4) * (w - 4) for h, w in model.level_sizes]
  frequency = np.bincount(found.level, minlength=len(num)) / 400
  np.testing.assert_allclose(frequency, num / np.sum(num), atol=0.1)


def test_more_patches_begin_with_the_same_ones(model):
  few, many = (
    patches.sample_vectors(
      jax.random.key(0),
      model.denoiser,
      model.options,
      Condition(level=jnp.zeros(num, jnp.int32)),
      chunk_size=16,
    )
    for num in (3, 20)
  )
  np.testing.assert_array_equal(few, many[:3])


def test_a_second_call_and_a_second_model_compile_nothing(model):
  denoiser = model.denoiser
  params = jax.tree.map(lambda leaf: leaf + 0.01, denoiser.params)
  other = dataclasses.replace(model, denoiser=denoiser.replace(params=params))
  first = patches.sample_patches(jax.random.key(0), model, num=20)
  with measure_compilation() as meter:
    found = patches.sample_patches(jax.random.key(0), other, num=20)
  assert meter.count == 0
  assert abs(found.patches - first.patches).max() > 1e-3


def test_states_go_from_noise_to_clean(model):
  states, sigmas = inference.denoising_states(jax.random.key(0), model, num=6)
  assert states.shape == (6, len(sigmas), 5, 5, 3)
  assert sigmas[-1] == 0
  np.testing.assert_allclose(states[:, 0].std() / sigmas[0], 1, atol=0.15)


def test_patches_of_another_distribution_are_refused(model):
  options = replace(model.options, distribution='joint')
  other = dataclasses.replace(model, options=options)
  with pytest.raises(ValueError, match=r"'patch', got 'joint'"):
    patches.sample_patches(jax.random.key(0), other, num=2)
  with pytest.raises(ValueError, match='`num`'):
    patches.sample_patches(jax.random.key(0), model, num=0)


def test_given_parts_of_a_joint_come_back_as_they_are(joint):
  model, options = joint
  given = source_and_delta()
  cond = distributions.make_condition(model.layout, **given)
  found = patches.sample_vectors(jax.random.key(0), model, options, cond)
  parts = distributions.split(found, model.layout.x0)
  for name, value in given.items():
    np.testing.assert_allclose(parts[name], value, atol=1e-5)
  # The target is drawn anew for each.
  assert np.asarray(parts['target']).std(axis=0).min() > 1e-3


def test_a_joint_depends_on_the_given_parts_alone(joint):
  # Neither a part that is not given, nor the noise on one that is, may matter.
  model, _ = joint
  cond = distributions.make_condition(model.layout, **source_and_delta())
  other = cond._replace(vector=cond.vector.at[:, 9:18].set(7.0))
  z = jax.random.normal(jax.random.key(0), (4, 21))
  noisy = z.at[:, :9].add(1.0).at[:, 18:].add(-1.0)
  chex.assert_trees_all_close(
    model.denoise_principal(z, jnp.float32(0.5), cond),
    model.denoise_principal(noisy, jnp.float32(0.5), other),
    atol=1e-5,
  )


def test_guidance_is_conditional_at_1_and_unconditional_at_0(guided):
  model, _ = guided
  cond = distributions.make_condition(model.layout, **source_and_delta())
  z = jax.random.normal(jax.random.key(1), (4, 9))
  sigma = jnp.float32(0.7)

  def denoised(weight):
    return inference.guided(model, guidance_weight=weight)(z, sigma, cond)

  conditional = model.denoise_principal(z, sigma, cond)
  unconditional = model.denoise_principal(
    z, sigma, conditioning.without_vector(cond)
  )
  np.testing.assert_allclose(denoised(1.0), conditional, atol=1e-6)
  np.testing.assert_allclose(denoised(0.0), unconditional, atol=1e-6)
  np.testing.assert_allclose(
    denoised(3.0), 3 * conditional - 2 * unconditional, atol=1e-5
  )
  assert abs(conditional - unconditional).max() > 1e-4


def test_guidance_needs_a_condition_and_dropout(joint, model):
  plain = make_denoiser(
    make_examples(make_options('target_given_source')),
    make_options('target_given_source'),
  )
  with pytest.raises(ValueError, match=r'condition\.dropout'):
    inference.guided(plain, guidance_weight=2.0)
  with pytest.raises(ValueError, match=r'condition\.dropout'):
    inference.guided(joint[0], guidance_weight=2.0)
  with pytest.raises(ValueError, match='this has none'):
    inference.guided(model.denoiser, guidance_weight=2.0)


def test_conditions_of_the_wrong_shape_are_refused(guided):
  model, options = guided
  cond = distributions.make_condition(model.layout, **source_and_delta())
  for vector, words in (
    (None, 'got None'),
    (cond.vector[:, :-1], r'\[B, 12\], the parts source 9, delta 3'),
  ):
    with pytest.raises(ValueError, match=words):
      patches.sample_vectors(
        jax.random.key(0), model, options, cond._replace(vector=vector)
      )


def test_an_untrained_joint_without_condition_is_the_wiener_filter():
  options = make_options('joint')
  model = make_denoiser(make_examples(options), options)
  vectors = jax.random.normal(jax.random.key(0), (6, 21))
  cond = Condition(
    level=jnp.zeros(6, jnp.int32),
    vector=vectors,
    given=jnp.zeros((6, 1), bool),
  )
  z = principal_basis.to_principal(model.basis, vectors)
  variance = model.basis.stddev[:1] ** 2
  np.testing.assert_allclose(
    model.denoise_principal(z, jnp.float32(0.6), cond),
    z * variance / (variance + 0.36),
    atol=1e-4,
  )


@pytest.mark.parametrize(
  ('distribution', 'given', 'dim'),
  [
    ('patch', (), 9),
    ('target_given_source', ('source', 'delta'), 9),
    ('delta_given_pair', ('source', 'target'), 3),
    ('joint', ('source', 'target'), 21),
  ],
)
def test_untrained_models_draw_the_gaussian_of_their_data(
  distribution, given, dim
):
  # The first denoiser is the Wiener filter, so its samples have the mean and
  # the variances of the data.
  options = make_options(distribution)
  options = replace(options, sampling={'num_steps': 18})
  model = make_denoiser(make_examples(options), options)
  num, sizes = 2000, {'source': 9, 'target': 9, 'delta': 3}
  cond = Condition(level=jnp.zeros(num, jnp.int32))
  if given:
    cond = distributions.make_condition(
      model.layout, **{n: jnp.ones((num, sizes[n])) for n in given}
    )
  found = patches.sample_vectors(jax.random.key(0), model, options, cond)
  assert found.shape == (num, dim)
  parts = distributions.split(found, model.layout.x0)
  means = distributions.split(
    model.decode(jnp.zeros((1, dim))), model.layout.x0
  )
  for name, values in parts.items():
    if distribution == 'joint' and name in given:
      np.testing.assert_allclose(values, 1, atol=1e-5)
    else:
      scale = float(np.asarray(values).std())
      np.testing.assert_allclose(
        np.mean(values, axis=0), means[name][0], atol=0.1 * scale + 1e-3
      )
