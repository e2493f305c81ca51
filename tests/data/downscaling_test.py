"""Operators against plain resampling, dense algebra and shifts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from skimage import data

from internal_diffusion.data.downscaling import make_downscaling, scaled_size
from internal_diffusion.data.resampling import Border

FACTORS = [1.1, 1.5, 2, 2.7, 3, 4, 8]
KERNEL = np.outer([1, 3, 4, 2, 0], [0, 1, 2, 1, 1]) / 50


@pytest.fixture(scope='module')
def photograph():
  # A cat's eye: fine hair and strong edges.
  pixels = data.chelsea()[60:180, 100:220]
  return jnp.asarray(pixels / 127.5 - 1, jnp.float32)


def random_image(*shape):
  values = np.random.default_rng(0).uniform(-1, 1, size=shape)
  return jnp.asarray(values, jnp.float32)


def delta_kernel(dy=0, dx=0):
  kernel = np.zeros((5, 5))
  kernel[2 + dy, 2 + dx] = 1
  return kernel


def between(low_size, factor, **options):
  high_size = scaled_size(low_size, factor)
  return make_downscaling(low_size, high_size, **options)


def decibels(error):
  return float(10 * jnp.log10(4 / jnp.mean(error**2)))


# Resampling.


def test_scaled_size_is_rounded_along_each_axis():
  assert scaled_size((10, 101), 2.7) == (27, 273)
  assert scaled_size((10, 101), (2.0, 1.1)) == (20, 111)


@pytest.mark.parametrize('factor', [*FACTORS, (1.3, 4.0)])
def test_inside_it_is_the_resampling_of_another_library(factor):
  # Which differs at the border alone: it cuts the kernel off there.
  downscaling = between((20, 24), factor)
  low, high = random_image(20, 24, 2), random_image(*downscaling.input_size, 2)
  margin = max(a // b for a, b in zip(high.shape, low.shape, strict=True)) * 3
  for image, resampled, border in (
    (high, downscaling.apply(high), 3),
    (low, downscaling.interpolate(low), margin),
  ):
    expected = jax.image.resize(image, resampled.shape, 'cubic')
    inside = slice(border, -border)
    np.testing.assert_allclose(
      resampled[inside, inside], expected[inside, inside], atol=1e-5
    )


@pytest.mark.parametrize('kernel', [None, KERNEL])
@pytest.mark.parametrize('factor', FACTORS)
def test_constant_image_stays_constant(factor, kernel):
  downscaling = between((9, 7), factor, kernel=kernel)
  high = jnp.full((*downscaling.input_size, 1), 0.3)
  low = downscaling.apply(high)
  np.testing.assert_allclose(low, 0.3, atol=1e-6)
  np.testing.assert_allclose(downscaling.interpolate(low), high, atol=1e-6)


@pytest.mark.parametrize(
  ('factor', 'kernel'), [(2, None), (3, None), (3, KERNEL)]
)
def test_pixels_beyond_the_border_repeat_the_nearest(factor, kernel):
  image = random_image(8 * factor, 6 * factor, 1)
  around = ((4 * factor, 4 * factor), (4 * factor, 4 * factor), (0, 0))
  padded = jnp.pad(image, around, mode='edge')
  low = between((8, 6), factor, kernel=kernel).apply(image)
  wide = between((16, 14), factor, kernel=kernel).apply(padded)
  np.testing.assert_allclose(low, wide[4:-4, 4:-4], atol=1e-6)


def test_axes_before_the_image_are_kept():
  downscaling = between((6, 5), 2, kernel=KERNEL)
  images = random_image(2, 3, *downscaling.input_size, 4)
  low = downscaling.apply(images)
  assert low.shape == (2, 3, 6, 5, 4)
  np.testing.assert_allclose(
    low[1, 2, ..., 3:],
    downscaling.apply(images[1, 2, ..., 3:]),
    atol=1e-6,
  )


# Blur kernels.


def test_point_kernel_reads_the_pixel_at_the_centre_of_odd_factors():
  image = random_image(15, 18, 2)
  downscaling = between((5, 6), 3, kernel=delta_kernel())
  low = downscaling.apply(image)
  np.testing.assert_allclose(low, image[1::3, 1::3], atol=1e-6)


def test_point_kernel_interpolates_halfway_for_even_factors():
  # Keys 1981: the weights at 1/2 and 3/2 are 9/16 and -1/16.
  image = jnp.broadcast_to(random_image(20, 1, 1), (20, 16, 1))
  downscaling = between((10, 8), 2, kernel=delta_kernel())
  low = downscaling.apply(image)[3, 4, 0]
  weights = np.array([-1, 9, 9, -1]) / 16
  assert low == pytest.approx(float(weights @ image[5:9, 0, 0]), abs=1e-6)


def test_kernel_is_the_picture_of_a_point():
  point = jnp.zeros((21, 21, 1)).at[10, 10].set(1.0)
  low_size = (21, 21)
  downscaling = make_downscaling(low_size, low_size, kernel=KERNEL)
  blurred = downscaling.apply(point)
  np.testing.assert_allclose(blurred[8:13, 8:13, 0], KERNEL, atol=1e-6)


@pytest.mark.parametrize('factor', [1.5, 2, 3])
def test_upscale_undoes_the_shift_of_the_kernel(factor):
  downscaling = between((16, 16), factor, kernel=delta_kernel(2, -1))
  side = downscaling.input_size[0]
  ramp = jnp.arange(side) / side
  image = jnp.stack(jnp.meshgrid(ramp, ramp, indexing='ij'), axis=-1)
  low = downscaling.apply(image)
  middle = slice(3 * side // 8, 5 * side // 8)
  np.testing.assert_allclose(
    downscaling.interpolate(low)[middle, middle],
    image[middle, middle],
    atol=1e-5,
  )


# The way back.


@pytest.mark.parametrize('kernel', [None, KERNEL])
@pytest.mark.parametrize('factor', [1.5, 2.7, 4])
def test_adjoint(factor, kernel):
  downscaling = between((9, 8), factor, kernel=kernel)
  x, y = random_image(*downscaling.input_size, 2), random_image(9, 8, 2)
  left = jnp.sum(downscaling.apply(x) * y)
  right = jnp.sum(x * downscaling.adjoint(y))
  assert left == pytest.approx(float(right), abs=1e-4)


@pytest.mark.parametrize('factor', FACTORS)
def test_resampling_is_well_conditioned(factor):
  low = 80
  matrix = between((low, low), factor).rows
  singular_values = np.linalg.svd(matrix, compute_uv=False)
  bound = np.sqrt(5 if factor >= 1.25 else 10)
  # The 2-D operator squares the ratio, A A^T the ratio of the operator.
  assert (singular_values[0] / singular_values[-1]) ** 2 < bound


@pytest.mark.parametrize('factor', FACTORS)
def test_back_projected_photograph_becomes_the_low_image(photograph, factor):
  size = photograph.shape[:2]
  low_size = (round(size[0] / factor), round(size[1] / factor))
  downscaling = make_downscaling(low_size, size)
  low = jnp.round(255 * downscaling.apply(photograph)) / 255
  start = downscaling.interpolate(low)
  image = downscaling.back_project(start, low)
  assert decibels(downscaling.apply(start) - low) < 50
  assert decibels(downscaling.apply(image) - low) > 80
  assert decibels(image - photograph) > decibels(start - photograph) + 0.2


@pytest.mark.parametrize('kernel', [None, KERNEL])
def test_correction_is_the_smallest_one(kernel):
  downscaling = between((6, 5), 2, kernel=kernel)
  high, low = random_image(12, 10, 1), random_image(6, 5, 1)
  matrix = jax.jacobian(lambda x: downscaling.apply(x))(high)
  matrix = np.asarray(matrix, np.float64).reshape(low.size, high.size)
  residual = low - downscaling.apply(high)
  expected = np.linalg.pinv(matrix) @ np.ravel(residual)
  image = downscaling.back_project(high, low, num_steps=60)
  np.testing.assert_allclose(np.ravel(image - high), expected, atol=1e-4)


def test_image_that_becomes_the_low_one_is_left_alone(photograph):
  downscaling = make_downscaling((60, 60), (120, 120))
  low = downscaling.apply(photograph)
  image = downscaling.back_project(photograph, low)
  np.testing.assert_allclose(image, photograph, atol=1e-5)


def test_each_image_is_projected_by_itself():
  downscaling = between((8, 8), 2, kernel=KERNEL)
  images = random_image(2, 16, 16, 1) * jnp.array([[[[1.0]]], [[[1e-3]]]])
  low = random_image(8, 8, 1)
  together = downscaling.back_project(images, low, num_steps=3)
  alone = downscaling.back_project(images[1], low, num_steps=3)
  np.testing.assert_allclose(alone, together[1], atol=1e-5)


def test_more_steps_come_closer_through_a_wide_blur(photograph):
  profile = np.exp(-0.5 * (np.arange(-7, 8) / 2) ** 2)
  kernel = np.outer(profile, profile) / profile.sum() ** 2
  downscaling = make_downscaling((60, 60), (120, 120), kernel=kernel)
  low = downscaling.apply(photograph)
  start = downscaling.interpolate(low)
  errors = []
  for num_steps in (2, 16):
    image = downscaling.back_project(start, low, num_steps=num_steps)
    errors.append(float(jnp.mean((image - photograph) ** 2)))
  assert jnp.mean((start - photograph) ** 2) > errors[0]
  assert errors == sorted(errors, reverse=True)


# Borders and sizes.


@pytest.mark.parametrize('kernel', [None, KERNEL])
def test_a_wrapped_border_commutes_with_shifts(kernel):
  image = random_image(24, 36, 2)
  downscaling = between((12, 18), 2, kernel=kernel, border=Border.WRAP)
  low = downscaling.apply(image)
  shifted = downscaling.apply(jnp.roll(image, (6, 10), (0, 1)))
  np.testing.assert_allclose(shifted, jnp.roll(low, (3, 5), (0, 1)), atol=1e-5)
  np.testing.assert_allclose(
    downscaling.interpolate(shifted),
    jnp.roll(downscaling.interpolate(low), (6, 10), (0, 1)),
    atol=1e-5,
  )


def test_at_another_size_it_observes_the_same(photograph):
  downscaling = make_downscaling((30, 30), (120, 120))
  half = make_downscaling((60, 60), (120, 120)).apply(photograph)
  carried = downscaling.at_size((60, 60))
  assert (carried.output_size, carried.input_size) == ((30, 30), (60, 60))
  error = carried.apply(half) - downscaling.apply(photograph)
  assert decibels(error) > 40
  small = random_image(20, 20, 3)
  identity = downscaling.at_size((20, 20))
  np.testing.assert_allclose(identity.apply(small), small, atol=1e-6)


def test_a_kernel_is_scaled_with_the_image():
  def gaussian(std):
    profile = np.exp(-0.5 * (np.arange(-12, 13) / std) ** 2)
    return np.outer(profile, profile) / profile.sum() ** 2

  downscaling = make_downscaling((20, 20), (120, 120), kernel=gaussian(3.0))
  kernel = np.asarray(downscaling.at_size((60, 60)).kernel)
  middle = len(kernel) // 2
  inside = slice(middle - 5, middle + 6)
  np.testing.assert_allclose(
    kernel[inside, inside], gaussian(1.5)[7:18, 7:18], atol=1e-3
  )


# What is refused.


@pytest.mark.parametrize('factor', [1.0, 8.1, -2, np.nan, (2.0, 9.0)])
def test_factor_out_of_range_is_refused(factor):
  with pytest.raises(ValueError, match=r'`factor` must be in \[1.1, 8.0\]'):
    scaled_size((10, 10), factor)


def test_wrong_sizes_are_refused():
  with pytest.raises(ValueError, match=r'`low_size`.*got 0'):
    make_downscaling((0, 4), (8, 8))
  with pytest.raises(ValueError, match=r'at least `low_size` \(4, 4\).*\(8, 3'):
    make_downscaling((4, 4), (8, 3))
  downscaling = between((4, 4), 2)
  low, high = jnp.zeros((4, 4, 3)), jnp.zeros((8, 8, 3))
  with pytest.raises(ValueError, match=r'`image` must be \[..., 8, 8, C\]'):
    downscaling.apply(low)
  with pytest.raises(
    ValueError, match=r'`observation` must be \[..., 4, 4, C\]'
  ):
    downscaling.interpolate(high)
  with pytest.raises(ValueError, match=r'`observation`.*got shape \(4, 4\)'):
    downscaling.adjoint(low[..., 0])
  with pytest.raises(ValueError, match='`observation`'):
    downscaling.back_project(high, high)
  with pytest.raises(ValueError, match=r'`num_steps`.*0'):
    downscaling.back_project(high, low, num_steps=0)


def test_wrong_kernel_is_refused():
  with pytest.raises(ValueError, match=r'`kernel`.*odd sides'):
    between((4, 4), 2, kernel=np.ones((4, 4)) / 16)
