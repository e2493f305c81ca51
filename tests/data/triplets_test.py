import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from internal_diffusion.data import (
  pair_table,
  patches,
  pyramid,
  symmetry,
  triplets,
)

RANGE = ((-2, 2), (-1, 3))
SQUARE = ((-2, 2), (-2, 2))


@pytest.fixture(scope='module')
def levels():
  image = jax.random.uniform(
    jax.random.key(0), (18, 22, 2), minval=-1, maxval=1
  )
  return pyramid.build_pyramid(image, scale_factor=0.6, min_side=10)


@pytest.fixture(scope='module')
def stack(levels):
  return pyramid.stack_pyramid(levels)


def table_of(levels, **options):
  sizes = [level.shape[:2] for level in levels]
  return pair_table.make_pair_table(sizes, patch_size=5, **options)


sample_triplets = jax.jit(
  triplets.sample_triplets,
  static_argnames=(
    'num',
    'patch_size',
    'displacement_range',
    'subpixel',
    'dihedral',
  ),
)


def draw(stack, table, num=4000, seed=0, **options):
  return sample_triplets(
    jax.random.key(seed), stack, table, num=num, patch_size=5, **options
  )


def found_at(dense, vectors):
  """Position of each vector [N, D] among dense patches [rows, columns, D]."""
  flat = np.asarray(dense).reshape(-1, dense.shape[-1])
  distance = ((np.asarray(vectors)[:, None] - flat[None]) ** 2).sum(-1)
  assert distance.min(axis=1).max() < 1e-8
  return np.stack(np.unravel_index(distance.argmin(1), dense.shape[:2]), -1)


def test_delta_says_where_the_target_lies(levels, stack):
  table = table_of(levels[:1], displacement_range=RANGE)
  drawn = draw(stack, table, num=300, displacement_range=RANGE)
  dense = patches.extract_patches(levels[0], patch_size=5)
  displacement = found_at(dense, drawn.target) - found_at(dense, drawn.source)
  told = triplets.displacement_of(drawn.delta, displacement_range=RANGE)
  np.testing.assert_allclose(told, displacement, atol=1e-5)
  np.testing.assert_array_equal(drawn.delta[:, 2], 0)


def test_every_pair_is_equally_likely(levels, stack):
  table = table_of(levels[:1], displacement_range=RANGE)
  everything = triplets.enumerate_triplets(
    stack, table, patch_size=5, displacement_range=RANGE
  )
  expected = sum(
    (18 - 4 - abs(dy)) * (22 - 4 - abs(dx))
    for dy in range(-2, 3)
    for dx in range(-1, 4)
  )
  assert len(everything.delta) == expected
  drawn = draw(stack, table, num=50_000, displacement_range=RANGE)
  deltas, counts = np.unique(
    np.asarray(everything.delta).round(4), axis=0, return_counts=True
  )
  found, drawn_counts = np.unique(
    np.asarray(drawn.delta).round(4), axis=0, return_counts=True
  )
  np.testing.assert_array_equal(found, deltas)
  wanted = 50_000 * counts / counts.sum()
  assert scipy.stats.chisquare(drawn_counts, wanted).pvalue > 1e-3


def test_draws_are_among_the_enumerated(levels, stack):
  options = {'displacement_range': RANGE}
  table = table_of(levels, level_steps=(-1, 0, 1), **options)
  everything = triplets.enumerate_triplets(
    stack, table, patch_size=5, **options
  )
  drawn = draw(stack, table, num=200, **options)

  def rows(t):
    return np.concatenate([t.source, t.target, t.delta], axis=-1)

  every = rows(everything)
  for row in rows(drawn):
    assert (abs(every - row[None]).max(axis=-1) < 1e-5).any()


def test_delta_of_b_and_a_is_minus_that_of_a_and_b(levels, stack):
  table = table_of(levels[:1], displacement_range=SQUARE)
  everything = triplets.enumerate_triplets(
    stack, table, patch_size=5, displacement_range=SQUARE
  )
  forth = np.concatenate(
    [everything.source, everything.target, everything.delta], -1
  )
  back = np.concatenate(
    [everything.target, everything.source, -everything.delta], -1
  )
  forth, back = (v[np.lexsort(v.round(4).T)] for v in (forth, back))
  np.testing.assert_allclose(forth, back, atol=1e-6)


def test_levels_are_compared_at_patch_centres():
  # A ramp at half size: what a patch shows is where its centre is.
  ramp = jnp.broadcast_to(jnp.arange(24.0)[:, None, None], (24, 24, 1)) / 24
  coarse = ramp.reshape(12, 2, 12, 2, 1).mean(axis=(1, 3))
  stack = pyramid.stack_pyramid([ramp, coarse])
  table = pair_table.make_pair_table(
    [(24, 24), (12, 12)],
    patch_size=5,
    displacement_range=SQUARE,
    level_steps=(-1,),
  )
  drawn = draw(stack, table, displacement_range=SQUARE)
  np.testing.assert_array_equal(drawn.level, 1)
  np.testing.assert_allclose(drawn.delta[:, 2], 1, atol=1e-6)
  shown = drawn.target.mean(axis=-1) - drawn.source.mean(axis=-1)
  told = triplets.displacement_of(drawn.delta, displacement_range=SQUARE)
  # In pixels of the source's level, of which the ramp has 12.
  np.testing.assert_allclose(told[:, 0], 12 * shown, atol=1e-4)
  assert float(abs(told).max()) <= 2.5


def test_conversion_has_an_inverse():
  displacement = jnp.array([[-2.0, -1.0], [2.0, 3.0], [0.5, 1.0]])
  delta = triplets.to_delta(
    displacement, jnp.zeros(3), displacement_range=RANGE
  )
  assert float(abs(delta).max()) <= 1
  back = triplets.displacement_of(delta, displacement_range=RANGE)
  np.testing.assert_allclose(back, displacement, atol=1e-6)


def test_subpixel_targets_follow_a_smooth_image():
  row, column = jnp.meshgrid(jnp.arange(30.0), jnp.arange(30.0), indexing='ij')

  def value(y, x):
    return 0.5 * jnp.sin(0.4 * y + 0.2 * x)

  stack = pyramid.stack_pyramid([value(row, column)[..., None]])
  table = pair_table.make_pair_table(
    [(30, 30)], patch_size=5, displacement_range=SQUARE
  )
  drawn = draw(stack, table, num=500, subpixel=True, displacement_range=SQUARE)
  told = triplets.displacement_of(drawn.delta, displacement_range=SQUARE)
  assert len(np.unique(np.asarray(told[:, 0]).round(3))) > 300
  assert float(abs(told).max()) <= 2.5
  # The phase at the source's centre, from its value and vertical slope.
  centre = 12
  slope = (drawn.source[:, centre + 5] - drawn.source[:, centre - 5]) / 2
  phase = jnp.arctan2(drawn.source[:, centre], slope / jnp.sin(0.4))
  expected = 0.5 * jnp.sin(phase + told @ jnp.array([0.4, 0.2]))
  inside = (drawn.target != drawn.source).any(axis=-1)
  np.testing.assert_allclose(
    drawn.target[inside, centre], expected[inside], atol=3e-3
  )


def test_interpolation_is_exact_on_the_grid(levels, stack):
  position = jnp.array([[0.0, 0.0], [13.0, 17.0], [4.0, 9.0]])
  level = jnp.zeros(3, jnp.int32)
  found = patches.interpolate_patches(stack, level, position, patch_size=5)
  dense = patches.extract_patches(levels[0], patch_size=5)
  row, column = position.astype(int).T
  np.testing.assert_allclose(found, dense[row, column], atol=1e-6)


@pytest.mark.parametrize('index', range(8))
def test_symmetries_are_those_of_the_whole_image(levels, stack, index):
  table = table_of(levels[:1], displacement_range=SQUARE)
  drawn = draw(stack, table, num=100, displacement_range=SQUARE)
  moved = symmetry.transform_triplets(drawn, jnp.full(100, index), patch_size=5)
  image = levels[0]
  if index & 4:
    image = image.swapaxes(0, 1)
  if index & 2:
    image = image[::-1]
  if index & 1:
    image = image[:, ::-1]
  dense = patches.extract_patches(image, patch_size=5)
  displacement = found_at(dense, moved.target) - found_at(dense, moved.source)
  told = triplets.displacement_of(moved.delta, displacement_range=SQUARE)
  np.testing.assert_allclose(told, displacement, atol=1e-5)


def test_dihedral_draws_all_eight(levels, stack):
  table = table_of(levels[:1], displacement_range=SQUARE)
  options = {'displacement_range': SQUARE, 'num': 400}
  plain = draw(stack, table, **options)
  turned = draw(stack, table, dihedral=True, **options)
  moved = (plain.source != turned.source).any(axis=-1)
  assert 0.8 < float(moved.mean()) < 0.95  # One in eight stays.


def test_padding_is_never_touched(levels, stack):
  table = table_of(
    levels, displacement_range=RANGE, level_steps=(0, 1, -1), power=0.0
  )
  for subpixel in (False, True):
    drawn = draw(
      stack, table, num=20_000, subpixel=subpixel, displacement_range=RANGE
    )
    for values in (drawn.source, drawn.target, drawn.delta):
      assert np.isfinite(values).all()
    assert set(drawn.level.tolist()) == {0, 1}


@pytest.mark.parametrize('power', [0.0, 0.5, 1.0])
def test_levels_are_drawn_as_often_as_their_weights_say(power):
  sizes = [(40, 60), (20, 30), (10, 15)]
  weights = np.array([34 * 54, 14 * 24, 4 * 9]) ** power
  table = pair_table.make_pair_table(sizes, patch_size=7, power=power)
  np.testing.assert_allclose(
    table.probability, weights / weights.sum(), rtol=1e-5
  )


def test_a_key_a_triplet_makes_draws_independent_of_the_batch(levels, stack):
  table = table_of(levels, level_steps=(0, -1))
  keys = jax.random.split(jax.random.key(4), 12)
  whole = sample_triplets(keys, stack, table, num=12, patch_size=5)
  part = sample_triplets(keys[4:8], stack, table, num=4, patch_size=5)
  for a, b in zip(whole, part, strict=True):
    np.testing.assert_array_equal(a[4:8], b)


@pytest.mark.parametrize(
  ('options', 'words'),
  [
    ({'displacement_range': ((-14, 14), (0, 0))}, 'vertical.*at most 13'),
    ({'displacement_range': ((0, 0), (0, 18))}, 'horizontal.*at most 17'),
    ({'displacement_range': ((2, 1), (0, 0))}, 'lowest first'),
    ({'displacement_range': ((0.5, 1), (0, 0))}, 'whole numbers'),
    ({'level_steps': (1,)}, 'level_steps.*1'),
    ({'level_steps': ()}, 'level_steps'),
    ({'level_steps': (0, 0)}, 'each once'),
    ({'power': 2.0}, 'power'),
  ],
)
def test_what_the_image_does_not_allow_is_refused(options, words):
  with pytest.raises(ValueError, match=words):
    pair_table.make_pair_table([(18, 22)], patch_size=5, **options)


def test_patch_larger_than_the_coarsest_level():
  with pytest.raises(ValueError, match='coarsest level'):
    pair_table.make_pair_table([(40, 40), (6, 6)], patch_size=7)


def test_dihedral_needs_a_symmetric_range(levels, stack):
  table = table_of(levels[:1], displacement_range=RANGE)
  with pytest.raises(ValueError, match='-m to m'):
    draw(stack, table, dihedral=True, displacement_range=RANGE)
