"""Triplets of clips: source and target in frames dt apart."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.applications.patches import (
  PatchOptions,
  draw_triplets,
)
from internal_diffusion.data import pair_table, pyramid, triplets
from internal_diffusion.experiments import moving_texture
from internal_diffusion.options import replace

RANGE = ((-2, 1), (-1, 1), (0, 2))
VELOCITY = (1, -1)  # That of the experiment.


@pytest.fixture(scope='module')
def clip():
  texture = np.random.default_rng(0).uniform(-0.9, 0.9, (9, 10))
  return moving_texture.moving_clip(texture)


def every_triplet(images, displacement_range):
  stack = pyramid.stack_pyramid([jnp.asarray(images)])
  table = pair_table.make_pair_table(
    [images.shape[:-1]], patch_size=3, displacement_range=displacement_range
  )
  options = {'patch_size': 3, 'displacement_range': displacement_range}
  return stack, table, triplets.enumerate_triplets(stack, table, **options)


@pytest.fixture(scope='module')
def every(clip):
  return every_triplet(clip, RANGE)


def test_delta_says_when_and_where_the_target_lies(clip, every):
  everything = every[-1]
  told = triplets.displacement_of(everything.delta, displacement_range=RANGE)
  told = np.asarray(told).round(4)
  assert everything.delta.shape == (len(told), 4)
  pairs = sum(
    (5 - abs(t)) * (9 - 2 - abs(y)) * (10 - 2 - x)
    for t in range(-2, 2)
    for y in range(-1, 2)
    for x in range(3)
  )
  assert len(told) == pairs
  # All values of the clip's first frame differ, so a patch tells its place.
  values = clip[..., 0]
  for index in range(0, pairs, 97):
    source, target = (
      np.asarray(part[index]) for part in (everything.source, everything.target)
    )
    places = [
      {tuple(p) for p in np.argwhere(np.isclose(values, patch[0]))}
      for patch in (source, target)
    ]
    assert any(
      tuple(np.add(place, told[index]).astype(int)) in places[1]
      for place in places[0]
    )


def test_what_moves_steadily_is_found_along_its_motion(every):
  everything = every[-1]
  told = np.asarray(
    triplets.displacement_of(everything.delta, displacement_range=RANGE)
  ).round()
  along = (told[:, 1:] == told[:, :1] * np.array([VELOCITY])).all(axis=-1)
  equal = np.all(
    np.asarray(everything.source) == np.asarray(everything.target), axis=-1
  )
  np.testing.assert_array_equal(equal, along)
  assert along.any()


def test_an_image_is_a_clip_of_one_frame(clip):
  image = every_triplet(clip[0], RANGE[1:])[-1]
  single = every_triplet(clip[:1], ((0, 0), *RANGE[1:]))[-1]
  for name in ('source', 'target', 'level'):
    np.testing.assert_array_equal(getattr(image, name), getattr(single, name))
  np.testing.assert_array_equal(single.delta[:, 1:], image.delta)
  assert not single.delta[:, 0].any()


def test_draws_are_among_all_triplets(clip, every):
  options = replace(
    PatchOptions(),
    patch_size=3,
    pyramid={'min_side': 9},
    triplet={'time': RANGE[0], 'vertical': RANGE[1], 'horizontal': RANGE[2]},
  )
  drawn = draw_triplets(jax.random.key(0), clip, options, num=300)
  rows, all_rows = (
    np.concatenate([t.source, t.target, t.delta], axis=-1).round(4)
    for t in (drawn, every[-1])
  )
  known = {row.tobytes() for row in all_rows}
  assert all(row.tobytes() in known for row in rows)
  assert len(np.unique(rows[:, -4])) == 4
  with pytest.raises(ValueError, match='it is for a clip'):
    draw_triplets(jax.random.key(0), clip[0], options, num=1)
  with pytest.raises(ValueError, match='range of dt in frames'):
    draw_triplets(jax.random.key(0), clip, PatchOptions(), num=1)
  cascade = replace(options, distribution='cascade')
  with pytest.raises(ValueError, match='is for images'):
    draw_triplets(jax.random.key(0), clip, cascade, num=1)


def test_subpixel_and_mirrored_targets_stay_in_their_frame(clip):
  square = ((-1, 1), (-1, 1), (-1, 1))
  stack, table, _ = every_triplet(clip, square)
  drawn = triplets.sample_triplets(
    jax.random.key(0),
    stack,
    table,
    num=60,
    patch_size=3,
    displacement_range=square,
    subpixel=True,
    dihedral=True,
  )
  told = triplets.displacement_of(drawn.delta, displacement_range=square)
  time = np.asarray(told[:, 0])
  np.testing.assert_allclose(time, time.round(), atol=1e-6)
  assert np.isfinite(drawn.target).all()
  assert np.abs(told).max() <= 1.5


@pytest.mark.parametrize(
  ('displacement_range', 'words'),
  [
    (((-5, 0), (0, 0), (0, 0)), 'temporal.*length is 5 frames, so at most 4'),
    (((0, 0), (0, 0)), '3 ranges, one for each of temporal, vertical'),
  ],
)
def test_bad_ranges(displacement_range, words):
  with pytest.raises(ValueError, match=words):
    pair_table.make_pair_table(
      [(5, 9, 10)], patch_size=3, displacement_range=displacement_range
    )
