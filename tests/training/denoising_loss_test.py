"""The denoising loss: its targets, its parts, its weight."""

import dataclasses
import functools

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.data import principal_basis
from internal_diffusion.data.distributions import Layout, Part
from internal_diffusion.options import replace
from internal_diffusion.training.denoising import make_denoiser
from internal_diffusion.training.denoising_loss import denoising_loss
from internal_diffusion.training.examples import point_examples
from internal_diffusion.training.options import (
  DenoiserOptions,
  NetworkOptions,
  NoiseOptions,
)
from internal_diffusion.training.state import TrainState
from internal_diffusion.types import static

NUM = 6
OPTIONS = DenoiserOptions(
  batch_size=64,
  num_references=64,
  noise=NoiseOptions(sigma_min=0.999, sigma_max=1.0),
  network=NetworkOptions(width=16, depth=1, embedding_dim=8),
)


@flax.struct.dataclass
class ZeroDenoiser:
  """Returns 0 for any x; its loss is that of the target alone."""

  basis: principal_basis.PrincipalBasis
  layout: Layout = static()
  base: None = None

  def denoise_principal(self, z, sigma, cond):
    del sigma, cond
    return jnp.zeros_like(z)


@functools.partial(jax.jit, static_argnames='loss')
def compiled_losses(loss, model, data, index):
  state = TrainState(0, None, model, None, None, None, 0)
  return loss(jax.random.key(1), state, data, 0.0, index)


def targets_of(x0, conditions, **condition):
  """Sizes of the regression's targets, from the loss of a denoiser at 0."""
  options = replace(OPTIONS, condition=condition)
  examples = point_examples(x0, conditions=conditions)
  model = ZeroDenoiser(principal_basis.standard_basis(1), examples.layout)
  loss = compiled_losses(
    denoising_loss(examples, options),
    model,
    examples.data,
    jnp.arange(64),
  )
  # The weight of unit variance at sigma 1 is 2.
  return np.sqrt(np.asarray(loss) / 2)


def test_a_condition_without_noise_leaves_its_own_example():
  x0 = jnp.arange(1.0, NUM + 1)[:, None]
  found = targets_of(x0, x0)
  distance = abs(found[:, None] - np.asarray(x0)[:, 0][None]).min(axis=1)
  np.testing.assert_allclose(distance, 0, atol=5e-3)
  assert len(np.unique(found.round(2))) == NUM


def test_examples_of_one_condition_are_averaged():
  x0 = jnp.array([[1.0], [3.0]])
  found = targets_of(x0, jnp.zeros((2, 1)))
  assert found.min() > 1.0
  assert found.max() < 3.0
  assert found.std() > 0.1  # x still makes one of them likelier.


def test_noise_on_the_condition_widens_the_posterior():
  x0 = jnp.array([[1.0], [3.0]])
  conditions = jnp.array([[0.0], [1.0]])
  sharp = targets_of(x0, conditions, sigma_aug=0.01)
  np.testing.assert_allclose(abs(sharp - 2), 1, atol=5e-3)
  wide = targets_of(x0, conditions, sigma_aug=5.0)
  assert abs(wide - 2).max() < 1


def test_a_target_has_the_mean_of_its_example():
  # Rao-Blackwell: averaging over unobserved variables keeps the expectation.
  key = jax.random.key(3)
  x0 = jax.random.normal(key, (40, 1)) + 3
  conditions = x0 + 0.5 * jax.random.normal(jax.random.fold_in(key, 1), (40, 1))
  found = targets_of(x0, conditions, sigma_aug=0.5)
  # A batch's mean is over 64 draws of standard deviation 1.
  assert abs(found.mean() - x0.mean()) < 4 / np.sqrt(64)
  assert found.std() < float(x0.std())


def test_a_part_of_the_batch_has_the_losses_of_the_whole():
  x0 = jax.random.normal(jax.random.key(0), (40, 3))
  examples = point_examples(x0, conditions=x0[:, :1])
  options = replace(OPTIONS, condition={'sigma_aug': 0.3})
  model = make_denoiser(examples, options)
  loss = denoising_loss(examples, options)

  def losses(index):
    return compiled_losses(loss, model, examples.data, jnp.array(index))

  whole = losses(range(64))
  # An index may repeat, where a batch is divided among three devices.
  index = [63, 5, 5, 17]
  np.testing.assert_allclose(losses(index), whole[jnp.array(index)], rtol=1e-5)


def test_losses_of_equal_options_are_equal():
  x0 = np.ones((4, 1), np.float32)
  first, again = (
    denoising_loss(point_examples(x0 + i), OPTIONS) for i in range(2)
  )
  other = replace(OPTIONS, noise={'sigma_max': 9.0})
  assert first == again
  assert hash(first) == hash(again)
  assert first != denoising_loss(point_examples(x0), other)


def test_given_parts_of_a_joint_have_no_loss():
  x0 = jax.random.normal(jax.random.key(0), (40, 4))
  parts = (Part('a', 2), Part('b', 2))
  examples = point_examples(x0, conditions=x0)
  joint = dataclasses.replace(
    examples,
    layout=Layout(parts, parts),
    queries=((True, True),),
  )
  assert joint.layout.is_joint
  model = make_denoiser(joint, OPTIONS)
  loss = denoising_loss(joint, replace(OPTIONS, num_references=0))
  found = compiled_losses(loss, model, joint.data, jnp.arange(64))
  np.testing.assert_allclose(found, 0, atol=1e-6)


@pytest.mark.parametrize('shape', [(2, 1), (3,)])
def test_conditions_of_points_must_fit(shape):
  with pytest.raises(ValueError, match=r'`conditions` must be \[3, K\]'):
    point_examples(np.ones((3, 2)), conditions=np.ones(shape))


def test_the_loss_has_the_error_that_a_mixture_expects_as_its_unit():
  rng = np.random.default_rng(0)
  centres = np.array([[3.0, 0.0], [-3.0, 1.0]], np.float32)
  x0 = centres[rng.integers(2, size=200)]
  x0 = (x0 + 0.1 * rng.normal(size=x0.shape)).astype(np.float32)
  examples = point_examples(x0)
  options = replace(
    OPTIONS,
    num_gaussians=2,
    num_references=0,
    noise={'sigma_min': 0.1, 'sigma_max': 0.5},
  )
  loss = compiled_losses(
    denoising_loss(examples, options),
    make_denoiser(examples, options),
    examples.data,
    jnp.arange(64),
  )
  assert 0.5 < float(loss.mean()) < 1.5
