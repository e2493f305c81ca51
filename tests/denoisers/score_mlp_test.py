import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.denoisers.score_mlp import ScoreMLP
from internal_diffusion.types import Condition


def make(dtype='float32', **options):
  network = ScoreMLP(
    output_dim=5,
    num_levels=3,
    width=16,
    depth=2,
    compute_dtype=dtype,
    **options,
  )
  cond = Condition(
    level=jnp.array([0, 1, 2, 2]),
    vector=jax.random.normal(jax.random.key(1), (4, 7)),
  )
  inputs = jax.random.normal(jax.random.key(2), (4, 9))
  params = network.init(jax.random.key(0), inputs, jnp.zeros(4), cond)
  return network, params, inputs, cond


def randomised(params):
  """All parameters away from their zeros."""
  leaves, tree = jax.tree.flatten(params)
  keys = jax.random.split(jax.random.key(5), len(leaves))
  noisy = [
    leaf + 0.1 * jax.random.normal(key, leaf.shape)
    for key, leaf in zip(keys, leaves, strict=True)
  ]
  return jax.tree.unflatten(tree, noisy)


def test_output_starts_at_zero():
  network, params, inputs, cond = make()
  output = network.apply(params, inputs, jnp.zeros(4), cond)
  assert output.shape == (4, 5)
  np.testing.assert_array_equal(output, 0)


def test_depends_on_every_input():
  network, params, inputs, cond = make()
  params = randomised(params)
  base = network.apply(params, inputs, jnp.zeros(4), cond)
  others = [
    (inputs + 1, jnp.zeros(4), cond),
    (inputs, jnp.ones(4), cond),
    (inputs, jnp.zeros(4), cond._replace(level=jnp.array([1, 2, 0, 0]))),
    (inputs, jnp.zeros(4), cond._replace(vector=cond.vector + 1)),
  ]
  for arguments in others:
    changed = network.apply(params, *arguments)
    assert (abs(changed - base).max(axis=1) > 1e-3).all()


def test_each_missing_part_has_a_vector_of_its_own():
  network, _, inputs, cond = make(num_parts=2)
  params = network.init(jax.random.key(0), inputs, jnp.zeros(4), cond)
  params = randomised(params)

  def output(*given):
    mask = jnp.tile(jnp.array(given), (4, 1))
    return network.apply(
      params, inputs, jnp.zeros(4), cond._replace(given=mask)
    )

  whole = network.apply(params, inputs, jnp.zeros(4), cond)
  np.testing.assert_array_equal(output(True, True), whole)
  np.testing.assert_array_equal(output(False), output(False, False))
  assert abs(output(True, False) - output(False, True)).max() > 1e-3


def test_depends_on_the_noise_level_of_the_condition():
  network, _, inputs, cond = make()
  noisy = cond._replace(sigma_aug=jnp.full(4, 0.1))
  params = network.init(jax.random.key(0), inputs, jnp.zeros(4), noisy)
  params = randomised(params)
  low = network.apply(params, inputs, jnp.zeros(4), noisy)
  high = network.apply(
    params, inputs, jnp.zeros(4), noisy._replace(sigma_aug=jnp.ones(4))
  )
  assert (abs(high - low).max(axis=1) > 1e-3).all()


def test_parts_cannot_be_missing_where_none_ever_were():
  network, params, inputs, cond = make()
  missing = cond._replace(given=jnp.zeros((4, 1), bool))
  with pytest.raises(ValueError, match='without condition dropout'):
    network.apply(params, inputs, jnp.zeros(4), missing)


def test_samples_are_independent():
  network, params, inputs, cond = make()
  params = randomised(params)
  whole = network.apply(params, inputs, jnp.zeros(4), cond)
  half = network.apply(
    params, inputs[:2], jnp.zeros(2), jax.tree.map(lambda c: c[:2], cond)
  )
  np.testing.assert_allclose(half, whole[:2], atol=1e-5)


def test_no_condition_is_an_empty_one():
  network = ScoreMLP(output_dim=3, width=8, depth=1)
  inputs = jnp.ones((2, 3))
  params = network.init(jax.random.key(0), inputs, jnp.zeros(2))
  params = randomised(params)
  found = network.apply(params, inputs, jnp.zeros(2))
  np.testing.assert_array_equal(found[0], found[1])
  np.testing.assert_array_equal(
    found, network.apply(params, inputs, jnp.zeros(2), Condition())
  )
  assert abs(found).max() > 1e-3


def test_networks_of_equal_options_are_equal():
  assert make()[0] == make()[0]
  assert hash(make()[0]) == hash(make()[0])
  assert make()[0] != make(num_parts=2)[0]


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
def test_compute_type_leaves_parameters_and_output_in_float32(dtype):
  network, params, inputs, cond = make(dtype)
  assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {
    jnp.dtype('float32')
  }
  params = randomised(params)
  output = network.apply(params, inputs, jnp.zeros(4), cond)
  assert output.dtype == jnp.float32
  reference = make()[0].apply(params, inputs, jnp.zeros(4), cond)
  tolerance = 1e-6 if dtype == 'float32' else 0.1
  np.testing.assert_allclose(output, reference, atol=tolerance)


def test_width_and_depth_are_the_options():
  def num_blocks(depth, width):
    network = ScoreMLP(output_dim=3, width=width, depth=depth)
    shapes = jax.eval_shape(
      network.init, jax.random.key(0), jnp.ones((1, 3)), jnp.zeros(1)
    )
    kernels = [leaf.shape for leaf in jax.tree.leaves(shapes)]
    return kernels.count((width, width))

  # Two square matrices a block.
  assert num_blocks(depth=2, width=24) == 4
  assert num_blocks(depth=5, width=40) == 10
