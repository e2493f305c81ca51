import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.data import distributions
from internal_diffusion.types import PatchTriplet

TRIPLET = PatchTriplet(
  source=jnp.full((4, 9), 1.0),
  target=jnp.full((4, 9), 2.0),
  delta=jnp.full((4, 3), 3.0),
  level=jnp.array([0, 1, 2, 0]),
)
SOURCE, TARGET, DELTA = (9 * [1.0], 9 * [2.0], 3 * [3.0])


@pytest.mark.parametrize(
  ('distribution', 'x0', 'vector'),
  [
    (distributions.patch, SOURCE, None),
    (distributions.target_given_source, TARGET, SOURCE + DELTA),
    (distributions.delta_given_pair, DELTA, SOURCE + TARGET),
    (distributions.joint, SOURCE + TARGET + DELTA, SOURCE + TARGET + DELTA),
  ],
)
def test_what_is_generated_and_what_is_given(distribution, x0, vector):
  found, cond = distribution(TRIPLET)
  np.testing.assert_array_equal(found, np.tile(x0, (4, 1)))
  np.testing.assert_array_equal(cond.level, TRIPLET.level)
  layout = distribution.layout(9, num_levels=3)
  assert sum(layout.x0_sizes) == len(x0)
  if vector is None:
    assert cond.vector is None
    assert not layout.given
  else:
    np.testing.assert_array_equal(cond.vector, np.tile(vector, (4, 1)))
    assert sum(layout.given_sizes) == len(vector)
  assert layout.is_joint == (distribution is distributions.joint)


def test_split_takes_vectors_apart():
  x0, _ = distributions.joint(TRIPLET)
  layout = distributions.joint.layout(9, num_levels=1)
  parts = distributions.split(x0, layout.x0)
  for name in ('source', 'target', 'delta'):
    np.testing.assert_array_equal(parts[name], getattr(TRIPLET, name))


def test_a_query_of_the_joint_says_what_is_given():
  layout = distributions.joint.layout(9, num_levels=1)
  cond = distributions.make_condition(
    layout, source=TRIPLET.source, target=TRIPLET.target
  )
  np.testing.assert_array_equal(cond.given, [[True, True, False]] * 4)
  np.testing.assert_array_equal(cond.vector[0], SOURCE + TARGET + 3 * [0.0])
  np.testing.assert_array_equal(cond.level, 0)
  assert distributions.joint.mask('source', 'target') == (True, True, False)


def test_a_whole_condition_needs_no_mask():
  layout = distributions.delta_given_pair.layout(9, num_levels=0)
  cond = distributions.make_condition(
    layout, source=TRIPLET.source, target=TRIPLET.target
  )
  assert cond.given is None
  assert cond.level is None


@pytest.mark.parametrize(
  ('parts', 'words'),
  [
    ({'delta': TRIPLET.delta}, 'delta.*source, target'),
    ({'source': TRIPLET.delta}, r'source.*\[B, 9\].*\(4, 3\)'),
    ({}, 'At least one'),
    ({'source': TRIPLET.source, 'target': TRIPLET.target[:2]}, 'one batch'),
  ],
)
def test_queries_that_do_not_fit_are_refused(parts, words):
  layout = distributions.delta_given_pair.layout(9, num_levels=1)
  with pytest.raises(ValueError, match=words):
    distributions.make_condition(layout, **parts)


def test_an_unknown_part():
  with pytest.raises(ValueError, match="'delta' cannot be given"):
    distributions.delta_given_pair.mask('delta')
