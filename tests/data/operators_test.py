"""Every operator's adjoint and ways back, against dense linear algebra."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.compilation import measure_compilation
from internal_diffusion.data.blur import make_blur
from internal_diffusion.data.downscaling import make_downscaling
from internal_diffusion.data.operators import LinearOperator, compose
from internal_diffusion.data.pointwise import (
  Identity,
  Luminance,
  make_masking,
)

SIZE = (8, 9)
KERNEL = np.array([[1, 2, 0], [0, 3, 1], [1, 1, 1]]) / 10
SEEN = np.random.default_rng(1).random(SIZE) < 0.6
SEEN_CHANNELS = np.random.default_rng(2).random((*SIZE, 3)) < 0.5
OPERATORS = {
  'identity': Identity(SIZE),
  'mask': make_masking(SEEN),
  'mask of channels': make_masking(
    np.random.default_rng(2).random((8, 9, 3)) < 0.5
  ),
  'luminance': Luminance(SIZE),
  'downscaling': make_downscaling((4, 5), SIZE),
  'blur': make_blur((6, 7), KERNEL),
  'seen part of a blur': compose(
    make_masking(SEEN[:6, :7]), make_blur((6, 7), KERNEL)
  ),
  'luma of a blur': compose(Luminance((6, 7)), make_blur((6, 7), KERNEL)),
}


@pytest.fixture(params=OPERATORS, ids=lambda name: name.replace(' ', '_'))
def operator(request):
  return OPERATORS[request.param]


def random_image(*shape, seed=0):
  values = np.random.default_rng(seed).uniform(-1, 1, size=shape)
  return jnp.asarray(values, jnp.float32)


def dense(operator):
  """A as a matrix, for one image of three channels."""
  zero = jnp.zeros((*operator.input_size, 3))
  jacobian = jax.jacobian(operator.apply)(zero)
  return np.asarray(jacobian, np.float64).reshape(-1, zero.size)


def observe(operator, seed=1):
  """A clean estimate and an observation of another image."""
  image = random_image(*operator.input_size, 3, seed=seed)
  return random_image(*operator.input_size, 3), operator.apply(image)


def dense_prox(operator, denoised, y, noise_std, sigma):
  """By the normal equations."""
  matrix = dense(operator)
  precision = np.broadcast_to(1 / np.asarray(noise_std, float) ** 2, y.shape)
  weighted = matrix.T * precision.ravel()
  left = weighted @ matrix + np.eye(matrix.shape[1]) / sigma**2
  right = weighted @ np.ravel(y) + np.ravel(denoised) / sigma**2
  return np.linalg.solve(left, right).reshape(denoised.shape)


def test_adjoint(operator):
  x, y = observe(operator)
  y = random_image(*y.shape, seed=2)
  left = jnp.vdot(operator.apply(x), y)
  right = jnp.vdot(x, operator.adjoint(y))
  assert left == pytest.approx(float(right), abs=1e-4)


def test_output_size_is_that_of_the_observation(operator):
  _, y = observe(operator)
  assert y.shape[:2] == operator.output_size


@pytest.mark.parametrize(('noise_std', 'sigma'), [(0.5, 0.2), (0.1, 1.0)])
def test_prox_is_the_most_probable_image(operator, noise_std, sigma):
  denoised, y = observe(operator)
  found = operator.prox(
    denoised, y, noise_std=noise_std, sigma=sigma, num_steps=60
  )
  wanted = dense_prox(operator, denoised, y, noise_std, sigma)
  np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_noise_may_differ_from_pixel_to_pixel(operator):
  denoised, y = observe(operator)
  noise_std = np.random.default_rng(3).uniform(0.2, 0.6, (*y.shape[:2], 1))
  found = operator.prox(
    denoised, y, noise_std=noise_std, sigma=0.4, num_steps=60
  )
  wanted = dense_prox(operator, denoised, y, noise_std, 0.4)
  np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_without_noise_it_is_the_nearest_image(operator):
  denoised, y = observe(operator)
  matrix = dense(operator)
  residual = np.ravel(y - operator.apply(denoised)).astype(np.float64)
  change = np.linalg.pinv(matrix) @ residual
  for sigma in (0.0, 0.3):
    found = operator.prox(
      denoised, y, noise_std=0.0, sigma=sigma, num_steps=100
    )
    np.testing.assert_allclose(np.ravel(found - denoised), change, atol=2e-3)
  exact = operator.back_project(denoised, y, num_steps=100)
  np.testing.assert_allclose(exact, found, atol=1e-5)
  np.testing.assert_allclose(operator.apply(exact), y, atol=1e-3)


def test_a_certain_estimate_is_left_alone(operator):
  denoised, y = observe(operator)
  found = operator.prox(denoised, y, noise_std=0.1, sigma=0.0)
  np.testing.assert_array_equal(found, denoised)


def test_closed_forms_are_what_conjugate_gradients_find(operator):
  denoised, y = observe(operator)
  residual = y - operator.apply(denoised)
  found = operator.solve(residual, 0.8, 0.2, 100)
  by_steps = LinearOperator.solve(operator, residual, 0.8, 0.2, 100)
  np.testing.assert_allclose(
    operator.adjoint(found), operator.adjoint(by_steps), atol=1e-4
  )


def test_each_image_of_a_batch_is_solved_by_itself(operator):
  denoised, y = observe(operator)
  images = jnp.stack([denoised, 1e-3 * denoised])[:, None]
  options = {'noise_std': 0.3, 'sigma': 0.5, 'num_steps': 3}
  together = operator.prox(images, y, **options)
  assert together.shape == (2, 1, *denoised.shape)
  for index in range(2):
    alone = operator.prox(images[index, 0], y, **options)
    np.testing.assert_allclose(together[index, 0], alone, atol=1e-5)


def test_interpolation_of_a_constant_is_constant(operator):
  image = jnp.full((*operator.input_size, 3), 0.3)
  found = operator.interpolate(operator.apply(image))
  np.testing.assert_allclose(found, image, atol=1e-5)


def test_at_its_own_size_an_operator_is_itself(operator):
  image = random_image(*operator.input_size, 3)
  same = operator.at_size(operator.input_size)
  np.testing.assert_allclose(
    same.apply(image), operator.apply(image), atol=1e-5
  )


def test_a_constant_observation_stays_one_at_another_size(operator):
  size = (16, 18)
  image = jnp.full((*operator.input_size, 3), 0.3)
  y = operator.observation_at_size(operator.apply(image), size)
  other = operator.at_size(size)
  assert other.input_size == size
  wanted = other.apply(jnp.full((*size, 3), 0.3))
  np.testing.assert_allclose(y, wanted, atol=1e-5)


def test_other_numbers_and_pictures_compile_nothing(operator):
  for seed in range(2):
    denoised, y = observe(operator, seed=seed)
    with measure_compilation() as meter:
      operator.prox(denoised, y, noise_std=0.1 * seed, sigma=1.0 + seed)
  assert meter.count == 0


def test_sizes_that_do_not_match_are_refused(operator):
  denoised, y = observe(operator)
  with pytest.raises(ValueError, match='`image` must be'):
    operator.prox(denoised[1:], y, noise_std=1.0, sigma=1.0)
  with pytest.raises(ValueError, match='`observation` must be'):
    operator.prox(denoised, y[1:], noise_std=1.0, sigma=1.0)
  with pytest.raises(ValueError, match=r'`num_steps`.*0'):
    operator.prox(denoised, y, noise_std=1.0, sigma=1.0, num_steps=0)


def test_operators_that_do_not_follow_each_other_are_refused():
  with pytest.raises(ValueError, match=r'`outer`.*\(4, 5\).*got \(8, 9\)'):
    compose(Identity(SIZE), make_downscaling((4, 5), SIZE))
