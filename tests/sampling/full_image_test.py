"""Lifting: what an image denoiser must be, whatever its patch denoiser."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.data import patches
from internal_diffusion.sampling import full_image

SIDE = 7
IMAGE = jax.random.normal(jax.random.key(0), (2, 26, 33, 3))


def lifted(patch_fn, **options):
  denoiser = full_image.from_whole(
    lambda x, sigma, spots: patch_fn(x, sigma), patch_size=SIDE
  )
  return full_image.lift(denoiser, **options)


@pytest.mark.parametrize('stride', [1, 2, 3])
@pytest.mark.parametrize('max_patches', [10**6, 60, 1])
def test_a_denoiser_that_does_nothing_leaves_the_image(stride, max_patches):
  denoise_fn = lifted(lambda x, _: x, stride=stride, max_patches=max_patches)
  np.testing.assert_allclose(denoise_fn(IMAGE, 1.0), IMAGE, atol=2e-5)


def test_strips_do_not_matter():
  def patch_fn(x, sigma):
    return jnp.tanh(sigma * x) + jnp.mean(x, axis=1, keepdims=True)

  whole = lifted(patch_fn)(IMAGE, 0.7)
  for max_patches in (27, 100, 300):
    parts = lifted(patch_fn, max_patches=max_patches)(IMAGE, 0.7)
    np.testing.assert_allclose(parts, whole, atol=2e-5)


def test_inside_it_is_the_windowed_average_of_all_patches():
  def patch_fn(x, _):
    return x * jnp.mean(x, axis=1, keepdims=True)

  core_size = full_image.core_size_of(SIDE)
  dense = patches.extract_patches(IMAGE[0], patch_size=SIDE)
  cores = patches.crop_patches(
    patch_fn(dense.reshape(-1, 147), 0), patch_size=SIDE, size=core_size
  )
  margin = (SIDE - core_size) // 2
  wanted = patches.average_patches(
    cores.reshape(*dense.shape[:2], -1),
    size=(26 - 2 * margin, 33 - 2 * margin),
    patch_size=core_size,
    window=jnp.asarray(full_image.make_window(SIDE, size=core_size)),
  )
  found = lifted(patch_fn)(IMAGE[:1], 1.0)[0, margin:-margin, margin:-margin]
  # Whole patches along the border reach a patch's side into the image.
  inside = slice(SIDE, -SIDE)
  np.testing.assert_allclose(
    found[inside, inside], wanted[inside, inside], atol=1e-5
  )


def test_border_patches_stand_all_along_the_border():
  found = full_image.border_positions(20, 31, patch_size=7, stride=3)
  assert {tuple(p) for p in found} >= {(0, 0), (0, 24), (13, 0), (13, 24)}
  on_border = np.isin(found[:, 0], (0, 13)) | np.isin(found[:, 1], (0, 24))
  assert on_border.all()
  assert len(np.unique(found, axis=0)) == len(found)


def test_window_is_cut_from_its_centre_and_core_is_odd():
  for side in (3, 7, 15, 31):
    core_size = full_image.core_size_of(side)
    assert core_size % 2 == 1
    assert core_size <= side
    whole = full_image.make_window(side)
    margin = (side - core_size) // 2
    cut = slice(margin, side - margin)
    np.testing.assert_array_equal(
      full_image.make_window(side, size=core_size), whole[cut, cut]
    )


@pytest.mark.parametrize(
  ('options', 'words'),
  [({'stride': 0}, 'stride'), ({'stride': 9}, 'at most 5')],
)
def test_bad_options(options, words):
  with pytest.raises(ValueError, match=words):
    lifted(lambda x, _: x, **options)


def test_image_smaller_than_a_patch():
  with pytest.raises(ValueError, match='larger than the smallest side'):
    lifted(lambda x, _: x)(IMAGE[:, :5], 1.0)


def flat_weighed(patch_fn, side=3, **options):
  """Lifted from patches with weights of their own and no window."""

  def weighed_fn(x, sigma, spots):
    values, weights = patch_fn(x)
    return full_image.Weighed(values, weights)

  return full_image.lift(
    full_image.PatchDenoiser(weighed_fn, weighed_fn, side, side, is_flat=True),
    **options,
  )


@pytest.mark.parametrize('stride', [1, 2])
def test_patches_count_by_their_own_weights(stride):
  def patch_fn(x):
    weights = jnp.exp(x[:, 0])
    return jnp.broadcast_to(
      jnp.mean(x, axis=1, keepdims=True), x.shape
    ), weights

  side, (height, width) = 3, IMAGE.shape[1:3]
  image = np.asarray(IMAGE[0, ..., :1], np.float64)
  total, weight_sum = np.zeros((2, height, width))
  tops, lefts = (
    list(range(0, length - side + 1, stride)) for length in (height, width)
  )
  spots = {(top, left) for top in tops for left in lefts}
  places = [*spots]
  if stride > 1:  # Those along the border stand twice where they coincide.
    places += full_image.border_positions(
      height, width, patch_size=side, stride=stride
    ).tolist()
  for top, left in places:
    patch = image[top : top + side, left : left + side]
    weight = np.exp(patch[0, 0, 0])
    total[top : top + side, left : left + side] += weight * patch.mean()
    weight_sum[top : top + side, left : left + side] += weight
  found = flat_weighed(patch_fn, stride=stride)(IMAGE[:1, ..., :1], 1.0)
  np.testing.assert_allclose(found[0, ..., 0], total / weight_sum, atol=1e-5)


@pytest.mark.parametrize('max_patches', [10**6, 60])
def test_patches_may_return_other_channels(max_patches):
  def patch_fn(x):
    pixels = x.reshape(len(x), -1, 3)
    more = jnp.concatenate([pixels, 2 * pixels[..., :1] + 1], axis=-1)
    return more.reshape(len(x), -1), 1 + x[:, 0] ** 2

  found = flat_weighed(patch_fn, max_patches=max_patches)(IMAGE, 1.0)
  wanted = np.concatenate([IMAGE, 2 * IMAGE[..., :1] + 1], axis=-1)
  np.testing.assert_allclose(found, wanted, atol=2e-5)
