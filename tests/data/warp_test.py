"""Warping against functions that are known between the pixels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from internal_diffusion.data import flow_fields, warp

# Compiled, which is faster than one operation after the other.
look_up = jax.jit(warp.warp, static_argnames='interpolation')
invert_flow = jax.jit(warp.invert_flow)
steepness = jax.jit(warp.steepness)
frames_between = jax.jit(warp.frames_between, static_argnames='num_frames')

BOTH = pytest.mark.parametrize('interpolation', ['cubic', 'bilinear'])


def random_image(*shape):
  values = np.random.default_rng(0).uniform(-1, 1, shape)
  return jnp.asarray(values, jnp.float32)


def constant(size, u, v):
  return jnp.tile(jnp.array([u, v], jnp.float32), (*size, 1))


def smooth(x, y):
  """A function [...] to [..., 2], with a period of about 30 pixels."""
  return np.stack([np.sin(0.2 * x + 0.1 * y), np.cos(0.15 * y)], axis=-1)


def positions(size):
  y, x = np.indices(size).astype(np.float64)
  return x, y


# Where things are looked up.


@BOTH
@pytest.mark.parametrize(('u', 'v'), [(0, 0), (3, 0), (0, 2), (-4, 5)])
def test_whole_displacements_are_exact(interpolation, u, v):
  image = random_image(12, 16, 3)
  warped, inside = look_up(
    image, constant((12, 16), u, v), interpolation=interpolation
  )
  for y, x in np.ndindex(12, 16):
    is_inside = 0 <= y + v < 12 and 0 <= x + u < 16
    assert inside[y, x] == is_inside
    nearest = image[np.clip(y + v, 0, 11), np.clip(x + u, 0, 15)]
    np.testing.assert_array_equal(warped[y, x], nearest)


@BOTH
def test_each_pixel_follows_its_own_vector(interpolation):
  image = random_image(9, 7, 1)
  order = np.random.default_rng(1).permutation(63)
  y, x = np.indices((9, 7))
  to_y, to_x = order.reshape(9, 7) // 7, order.reshape(9, 7) % 7
  flow = jnp.asarray(np.stack([to_x - x, to_y - y], -1), jnp.float32)
  warped, inside = look_up(image, flow, interpolation=interpolation)
  assert bool(jnp.all(inside))
  np.testing.assert_array_equal(warped.ravel(), image.ravel()[order])


@pytest.mark.parametrize(
  ('interpolation', 'degree'), [('cubic', 2), ('bilinear', 1)]
)
def test_polynomials_are_exact_up_to_the_border(interpolation, degree):
  size = 8, 9
  x, y = positions(size)

  def polynomial(x, y):
    return (0.3 + 0.2 * x - 0.1 * y) ** degree / 10

  rng = np.random.default_rng(0)
  to_x, to_y = 8 * rng.random(size), 7 * rng.random(size)
  flow = jnp.asarray(np.stack([to_x - x, to_y - y], -1), jnp.float32)
  image = jnp.asarray(polynomial(x, y)[..., None], jnp.float32)
  warped, inside = look_up(image, flow, interpolation=interpolation)
  assert bool(jnp.all(inside))
  np.testing.assert_allclose(warped[..., 0], polynomial(to_x, to_y), atol=2e-6)


@pytest.mark.parametrize(
  ('interpolation', 'order'), [('cubic', 3), ('bilinear', 2)]
)
def test_order_of_accuracy(interpolation, order):
  # The same function on pixels of half the distance, a third of a pixel moved.
  errors = []
  for spacing in (0.5, 0.25):
    x, y = (spacing * p for p in positions((48, 48)))
    image = jnp.asarray(smooth(x, y), jnp.float32)
    warped, inside = look_up(
      image, constant((48, 48), 0.3, -0.3), interpolation=interpolation
    )
    expected = smooth(x + 0.3 * spacing, y - 0.3 * spacing)
    errors.append(np.abs(warped - expected)[inside].max())
  assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.35)


def test_inside_ends_at_the_middle_of_the_last_pixel():
  image = random_image(4, 4, 1)
  for u, expected in ((0.999, True), (1.0, True), (1.001, False)):
    _, inside = look_up(image, constant((4, 4), u, 0))
    assert bool(inside[0, 2]) == expected
    _, inside = look_up(image, constant((4, 4), 0, -u))
    assert bool(inside[1, 0]) == expected


def test_what_is_not_finite_is_outside():
  flow = constant((4, 4), 0, 0).at[1, 2, 0].set(jnp.nan)
  _, inside = look_up(random_image(4, 4, 1), flow)
  np.testing.assert_array_equal(np.argwhere(~inside), [[1, 2]])


@BOTH
def test_gradient_is_the_slope_of_the_picture(interpolation):
  x, y = positions((8, 8))
  plane = jnp.asarray((0.1 * x - 0.05 * y)[..., None], jnp.float32)

  def total(flow):
    warped, _ = look_up(plane, flow, interpolation=interpolation)
    return jnp.sum(warped[2:6, 2:6])

  gradient = jax.jit(jax.grad(total))(constant((8, 8), 0.4, 0.3))[2:6, 2:6]
  expected = np.tile(np.float32([0.1, -0.05]), (4, 4, 1))
  np.testing.assert_allclose(gradient, expected, atol=1e-6)


# The inverse.


@pytest.mark.parametrize('degrees', [1.0, -20.0])
def test_inverse_of_a_rotation_is_the_rotation_back(degrees):
  size = 40, 60
  inverse = invert_flow(flow_fields.rotation(size, degrees=degrees))
  expected = flow_fields.rotation(size, degrees=-degrees)
  assert max_error_inside(inverse, expected) < 0.01


@pytest.mark.parametrize('factor', [0.7, 1.1, 1.8])
def test_inverse_of_a_zoom_is_the_zoom_back(factor):
  size = 40, 60
  inverse = invert_flow(flow_fields.zoom(size, factor=factor))
  expected = flow_fields.zoom(size, factor=1 / factor)
  assert max_error_inside(inverse, expected) < 0.01


def max_error_inside(flow, expected):
  """The longest difference where the truth stays inside."""
  _, inside = look_up(expected, jnp.asarray(expected))
  return np.linalg.norm(flow - expected, axis=-1)[np.asarray(inside)].max()


@pytest.mark.parametrize(('amplitude', 'smoothness'), [(8, 9), (8, 20), (3, 4)])
def test_there_and_back_is_where_one_was(amplitude, smoothness):
  flow = flow_fields.smooth_random(
    0, (80, 96), amplitude=amplitude, smoothness=smoothness
  )
  assert float(steepness(flow)) < 0.9
  inverse = np.asarray(invert_flow(flow), np.float64)
  _, inside = look_up(flow, inverse.astype(np.float32))
  # Splines of order 5 know the field between the pixels better than we do.
  y, x = np.indices((80, 96))
  source = [y + inverse[..., 1], x + inverse[..., 0]]
  there = [
    scipy.ndimage.map_coordinates(
      flow[..., i].astype(np.float64), source, order=5, mode='nearest'
    )
    for i in (0, 1)
  ]
  residual = np.linalg.norm(np.stack(there, -1) + inverse, axis=-1)
  assert residual[np.asarray(inside)].max() < 0.01


def test_steepness_of_linear_maps_is_the_norm_of_their_difference_to_1():
  size = 11, 14
  turned = steepness(flow_fields.rotation(size, degrees=30))
  assert float(turned) == pytest.approx(2 * np.sin(np.radians(15)), rel=1e-5)
  zoomed = steepness(flow_fields.zoom(size, factor=0.75))
  assert float(zoomed) == pytest.approx(0.25, rel=1e-5)
  assert float(steepness(constant(size, 3, 1))) == 0


# Frames in between.


def test_frames_between_begin_and_end_with_the_frames():
  first, second = random_image(9, 10, 3), random_image(9, 10, 3) / 2
  flow = flow_fields.smooth_random(0, (9, 10), amplitude=2, smoothness=3)
  frames = frames_between(first, second, jnp.asarray(flow), num_frames=3)
  assert frames.shape == (3, 9, 10, 3)
  np.testing.assert_array_equal(frames[0], first)
  np.testing.assert_array_equal(frames[2], second)
  alone = frames_between(first, second, jnp.asarray(flow), num_frames=1)
  np.testing.assert_array_equal(alone[0], first)


def test_frames_between_move_by_a_share_of_the_flow():
  x, y = positions((40, 40))
  first, second = (
    jnp.asarray(smooth(x - u, y - v), jnp.float32) for u, v in ((0, 0), (4, -2))
  )
  frames = frames_between(
    first, second, constant((40, 40), 4, -2), num_frames=5
  )
  for share, frame in zip((0, 0.25, 0.5, 0.75, 1), frames, strict=True):
    expected = smooth(x - 4 * share, y + 2 * share)
    # Interpolated within a frame, clipped to the range of both.
    error = np.abs(frame - expected)
    assert error[2:-2, 4:-4].max() < 2e-3


def test_what_one_frame_does_not_see_is_taken_from_the_other():
  first = jnp.full((8, 8, 1), -1.0)
  second = jnp.ones((8, 8, 1))
  flow = constant((8, 8), 4, 0)
  middle = frames_between(first, second, flow, num_frames=3)[1, 0, :, 0]
  # Two columns come in at the left, and two leave at the right.
  expected = np.float32([1, 1, 0, 0, 0, 0, -1, -1])
  np.testing.assert_allclose(middle, expected, atol=1e-5)


# What is refused.


def test_wrong_arguments_are_refused():
  image, flow = random_image(6, 5, 3), constant((6, 5), 0, 0)
  with pytest.raises(ValueError, match=r"`interpolation`.*'nearest'"):
    warp.warp(image, flow, interpolation='nearest')
  with pytest.raises(ValueError, match=r'`image`.*\(6, 5\)'):
    warp.warp(image[..., 0], flow)
  with pytest.raises(ValueError, match=r'`image`.*\(5, 5, 3\) and \(6, 5, 2\)'):
    warp.warp(image[1:], flow)
  with pytest.raises(ValueError, match=r'`flow`.*\(6, 5, 3\)'):
    warp.warp(image, image)
  with pytest.raises(ValueError, match=r'`flow`.*at least 3.*\(2, 5, 2\)'):
    warp.warp(image[:2], flow[:2])
  with pytest.raises(ValueError, match=r'`flow` must hold floats.*int32'):
    warp.warp(image, flow.astype(int))
  with pytest.raises(ValueError, match=r'`flow`.*\(6, 5, 3\)'):
    warp.invert_flow(image)
  with pytest.raises(ValueError, match=r'one shape.*\(5, 5, 3\)'):
    warp.frames_between(image, image[1:], flow, num_frames=2)
  with pytest.raises(ValueError, match=r'`num_frames`.*0'):
    warp.frames_between(image, image, flow, num_frames=0)
