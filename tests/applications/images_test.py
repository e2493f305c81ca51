"""Whole images from the patches of one."""

import jax
import numpy as np
import pytest
import skimage.data

from internal_diffusion.applications.images import (
  GenerateOptions,
  LevelDenoiser,
  Start,
  find_sources,
  generate,
  make_image_prior,
  make_mixture_prior,
  recipe,
)
from internal_diffusion.applications.images import prior as prior_lib
from internal_diffusion.applications.images.options import Symmetry
from internal_diffusion.compilation import measure_compilation
from internal_diffusion.data.downscaling import make_downscaling
from internal_diffusion.data.resampling import resample
from internal_diffusion.sampling.constraints import (
  LinearObservation,
  MirrorSymmetry,
)
from internal_diffusion.sampling.wrapping import WrappedBorder

KEY = jax.random.key(0)


@pytest.fixture(scope='module')
def image():
  return 2 * skimage.data.coffee()[::8, ::8].astype(np.float32) / 255 - 1


@pytest.fixture(scope='module')
def prior(image):
  return make_image_prior(image, patch_size=9)


@pytest.fixture(scope='module')
def generated(prior):
  return generate(KEY, prior, num_steps=6)


def nearest(patches, references):
  distance = (patches**2).sum(1)[:, None] - 2 * patches @ references.T
  return np.sqrt((distance + (references**2).sum(1)[None]).min(1).clip(0))


def squares(image, side=5):
  view = np.lib.stride_tricks.sliding_window_view(image, (side, side), (0, 1))
  return view.reshape(-1, image.shape[-1] * side**2)


def test_sizes_halve_to_just_above_a_patch():
  sizes = prior_lib.halved_sizes(160, 241, patch_size=15)
  assert sizes == [(160, 241), (80, 121), (40, 61), (20, 31)]
  assert prior_lib.halved_sizes(16, 99, patch_size=15) == [(16, 99)]
  assert len(prior_lib.halved_sizes(99, 99, patch_size=3, num_levels=2)) == 2
  with pytest.raises(ValueError, match='coarsest level'):
    prior_lib.halved_sizes(40, 40, patch_size=15, num_levels=3)


def test_every_small_patch_is_like_one_of_the_photograph(image, generated):
  assert [level.shape for level in generated] == [
    (50, 75, 3),
    (25, 38, 3),
    (13, 19, 3),
  ]
  made = generated[0]
  assert np.abs(made).max() <= 1
  assert made.std() > 0.7 * image.std()
  error = nearest(squares(made)[::7], squares(image)) / np.sqrt(75)
  assert np.median(error) < 0.05
  assert np.abs(made - image).mean() > 0.05  # It is not the photograph.


def test_a_key_gives_one_image_bit_for_bit(prior, generated):
  again = generate(KEY, prior, num_steps=6)
  other = generate(jax.random.key(1), prior, num_steps=6)
  np.testing.assert_array_equal(again[0], generated[0])
  assert np.abs(other[0] - generated[0]).mean() > 0.05


def test_pixels_are_from_where_the_map_says(image, prior, generated):
  source = find_sources(prior, generated[0])
  row, column = np.moveaxis(source, -1, 0)
  error = np.abs(image[row, column] - generated[0]).mean(axis=-1)
  assert np.median(error) < 0.06


def test_the_photograph_is_from_where_it_is(image, prior):
  source = find_sources(prior, image)
  places = np.moveaxis(np.indices(image.shape[:2]), 0, -1)
  assert (np.abs(source - places) <= 1).all(axis=-1).mean() > 0.9


def test_a_second_image_of_the_same_size_compiles_nothing(image, prior):
  constraints = [WrappedBorder(), MirrorSymmetry(1)]

  def use(image, seed):
    prior = make_image_prior(image, patch_size=9, mirrored=1)
    made = generate(
      jax.random.key(seed), prior, num_steps=2, constraints=constraints
    )
    return find_sources(prior, made[0])

  use(image, 0)
  with measure_compilation() as meter:
    use(np.flip(image, 1).copy(), 1)
  assert meter.count == 0


@pytest.mark.parametrize('size', [(40, 120), (77, 61)])
def test_any_size(image, prior, size):
  made = generate(KEY, prior, size=size, num_steps=4)
  assert made[0].shape == (*size, 3)
  row, column = np.moveaxis(find_sources(prior, made[0]), -1, 0)
  error = np.abs(image[row, column] - made[0]).mean(axis=-1)
  assert np.median(error) < 0.06


def test_the_layout_of_a_start_is_kept(image, prior):
  size = (image.shape[0], 2 * image.shape[1])
  made = generate(
    KEY, prior, size=size, num_steps=8, start=Start(image, sigma=0.6)
  )
  free = generate(KEY, prior, size=size, num_steps=8)
  wanted = resample(image, made[-1].shape[:2])
  errors = [np.abs(m[-1] - wanted).mean() for m in (made, free)]
  assert errors[0] < 0.75 * errors[1]


def test_a_finer_start_keeps_another_pictures_layout(image, prior):
  other = np.flip(image, (0, 1)).copy()
  made = [
    generate(KEY, prior, num_steps=6, start=Start(other, 0.4, level))
    for level in (None, 0)
  ]
  assert [len(m) for m in made] == [len(prior.levels), 1]
  errors = [np.abs(m[0] - other).mean() for m in made]
  assert errors[1] < errors[0]


def test_a_level_shows_objects_if_it_is_eight_patches_high(prior):
  side = 8 * prior.patch_size
  assert prior.layout_level((50, 75)) == 0
  assert prior.layout_level((2 * side, 3 * side)) == 1
  assert prior.layout_level((4 * side, 6 * side)) == 2


def test_retargeting_goes_as_coarse_as_a_patch_fits():
  assert prior_lib.max_levels(120, patch_size=15) == 4
  assert prior_lib.max_levels(28, patch_size=15) == 1
  assert prior_lib.max_levels(30, patch_size=15) == 2


def test_tiles_fit_together(prior):
  made = generate(
    KEY, prior, size=(64, 64), num_steps=6, constraints=[WrappedBorder()]
  )[0]
  for axis in (0, 1):
    steps = np.abs(np.diff(made, axis=axis)).mean(axis=(1 - axis, 2))
    seam = np.abs(made.take(0, axis) - made.take(-1, axis)).mean()
    assert seam < np.quantile(steps, 0.99) + 1e-6


@pytest.mark.parametrize('axis', [0, 1])
def test_symmetric_is_exactly_so(image, axis):
  prior = make_image_prior(image, patch_size=9, mirrored=axis)
  made = generate(KEY, prior, num_steps=4, constraints=[MirrorSymmetry(axis)])[
    0
  ]
  np.testing.assert_array_equal(made, np.flip(made, axis))
  source = find_sources(prior, made)
  assert source[..., axis].max() < image.shape[axis]


def test_a_constraint_of_the_caller_holds(image, prior):
  operator = make_downscaling((10, 15), image.shape[:2])
  observation = operator.apply(image)
  made = generate(
    KEY,
    prior,
    num_steps=4,
    constraints=[LinearObservation(operator, observation)],
  )[0]
  # Clipping to [-1, 1] comes after it.
  error = np.abs(operator.apply(made) - observation)
  assert np.median(error) < 1e-3
  assert (
    np.abs(made - image).mean()
    < 0.6 * np.abs(generate(KEY, prior, num_steps=4)[0] - image).mean()
  )


@pytest.mark.parametrize(
  ('options', 'words'),
  [
    ({'size': (5, 50)}, 'smaller than a patch'),
    ({'size': (10**6, 10**6)}, 'would fit'),
    ({'num_steps': 1}, 'num_steps'),
    ({'start': Start(np.zeros((20, 20, 3)), sigma=0)}, r'start\.sigma'),
    ({'start': Start(np.zeros((20, 20, 3)), level=9)}, r'start\.level'),
    ({'start': Start(np.zeros((20, 20, 1)))}, '1 channels'),
    ({'start': Start(np.zeros((20, 20)))}, r'\[h, w, C\]'),
    ({'constraints': [MirrorSymmetry(1)]}, 'mirrored=1'),
  ],
)
def test_bad_options(prior, options, words):
  with pytest.raises(ValueError, match=words):
    generate(KEY, prior, **options)


@pytest.fixture(scope='module')
def mixture_prior(image):
  return make_mixture_prior(KEY, image, patch_size=9, num_components=4)


def test_a_mixture_makes_details_of_the_photographs_colours(
  image, mixture_prior
):
  made = generate(KEY, mixture_prior, num_steps=6)
  assert [level.shape for level in made] == [
    (50, 75, 3),
    (25, 38, 3),
    (13, 19, 3),
  ]
  assert made[0].std() > 0.7 * image.std()
  np.testing.assert_allclose(
    made[0].mean((0, 1)), image.mean((0, 1)), atol=0.25
  )
  # New patches, not copies, but not far from the photograph's.
  error = nearest(squares(made[0])[::7], squares(image)) / np.sqrt(75)
  assert 0.02 < np.median(error) < 0.3


def test_a_mixtures_tiles_fit_together(mixture_prior):
  made = generate(
    KEY,
    mixture_prior,
    size=(48, 48),
    num_steps=3,
    constraints=[WrappedBorder()],
  )[0]
  for axis in (0, 1):
    steps = np.abs(np.diff(made, axis=axis)).mean(axis=(1 - axis, 2))
    seam = np.abs(made.take(0, axis) - made.take(-1, axis)).mean()
    assert seam < 1.2 * steps.max()


def test_a_recipe_of_a_mixture_has_the_closed_form_at_the_coarsest(image):
  options = GenerateOptions(
    denoiser=LevelDenoiser.GAUSSIAN_MIXTURE, patch_size=9
  )
  found = recipe.make_recipe(image[::2, ::2], options).prior
  finer, coarsest = (level.denoiser for level in found.levels)
  assert finer.mixture.means.shape[-1] == 3 * finer.patch_size**2
  assert isinstance(coarsest, prior_lib.ClosedFormImageDenoiser)


def test_a_mixture_has_no_mirrored_patches():
  with pytest.raises(ValueError, match='denoiser=closed_form'):
    GenerateOptions(
      denoiser=LevelDenoiser.GAUSSIAN_MIXTURE, symmetric=Symmetry.HORIZONTAL
    )


@pytest.mark.parametrize('size', [(5, 50), (10**6, 10**6)])
def test_a_bad_size_is_refused_before_the_prior_is_built(
  image, size, monkeypatch
):
  monkeypatch.setattr(recipe, 'make_image_prior', None)
  with pytest.raises(ValueError, match=f'`size` {size[0]}x{size[1]}'):
    recipe.make_recipe(image, GenerateOptions(size=size))


def test_image_smaller_than_a_patch():
  with pytest.raises(ValueError, match='patch_size'):
    make_image_prior(np.zeros((8, 20, 3), np.float32))
