import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.diffusion import guidance
from internal_diffusion.types import Condition

# Two classes, each a Gaussian N(mean, STD^2) in the plane, with their chances.
MEANS = jnp.array([[1.0, -0.5], [-0.6, 0.8]])
CHANCES = jnp.array([0.3, 0.7])
STD = 0.4

# One sample of each class, and a level for all or for each.
X = jnp.array([[0.3, 0.9], [-1.2, 0.4], [0.1, 0.0]])
COND = Condition(level=jnp.array([0, 1, 0]))
SIGMAS = [jnp.float32(0.7), jnp.array([0.2, 1.0, 3.0])]


def level_column(sigma):
  return jnp.reshape(jnp.asarray(sigma), (-1, 1))


def log_posterior(x, sigma):
  """Log p(class | x; sigma), [B, 2]."""
  distance = jnp.sum((x[:, None] - MEANS[None]) ** 2, axis=-1)
  variance = STD**2 + level_column(sigma) ** 2
  return jax.nn.log_softmax(
    jnp.log(CHANCES)[None] - distance / (2 * variance), axis=-1
  )


def class_denoise(x, sigma, mean):
  """E[x0 | x, class]: the Wiener filter of one Gaussian."""
  share = STD**2 / (STD**2 + level_column(sigma) ** 2)
  return mean + share * (x - mean)


def conditional_fn(x, sigma, cond=None):
  return class_denoise(x, sigma, MEANS[cond.level])


def unconditional_fn(x, sigma, cond=None):
  del cond
  chances = jnp.exp(log_posterior(x, sigma))
  return sum(
    chances[:, i : i + 1] * class_denoise(x, sigma, MEANS[i : i + 1])
    for i in range(2)
  )


def log_likelihood_fn(x, sigma, cond):
  chosen = cond.level[:, None]
  return jnp.take_along_axis(log_posterior(x, sigma), chosen, axis=1)[:, 0]


@pytest.mark.parametrize('sigma', SIGMAS, ids=['scalar', 'per_sample'])
def test_classifier_free_weights_zero_and_one_are_the_parts(sigma):
  for weight, part in ((0.0, unconditional_fn), (1.0, conditional_fn)):
    guided = guidance.classifier_free_guidance(
      conditional_fn, unconditional_fn, guidance_weight=weight
    )
    np.testing.assert_array_equal(guided(X, sigma, COND), part(X, sigma, COND))


@pytest.mark.parametrize('weight', [-0.5, 0.3, 2.0, 7.5])
@pytest.mark.parametrize('sigma', SIGMAS, ids=['scalar', 'per_sample'])
def test_both_guidances_agree_where_all_is_known(sigma, weight):
  # Bayes' rule: D_c - D_u is sigma^2 times the classifier's slope.
  free = guidance.classifier_free_guidance(
    conditional_fn, unconditional_fn, guidance_weight=weight
  )
  classifier = guidance.classifier_guidance(
    unconditional_fn, log_likelihood_fn, guidance_weight=weight
  )
  found = jax.jit(classifier)(X, sigma, COND)
  expected = jax.jit(free)(X, sigma, COND)
  assert found.dtype == expected.dtype == jnp.float32
  np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('sigma', SIGMAS, ids=['scalar', 'per_sample'])
def test_the_exact_classifier_gives_the_exact_conditional(sigma):
  guided = guidance.classifier_guidance(
    unconditional_fn, log_likelihood_fn, guidance_weight=1.0
  )
  np.testing.assert_allclose(
    guided(X, sigma, COND), conditional_fn(X, sigma, COND), atol=2e-6
  )


def test_no_classifier_guidance_is_the_unconditional():
  guided = guidance.classifier_guidance(
    unconditional_fn, log_likelihood_fn, guidance_weight=0.0
  )
  np.testing.assert_array_equal(
    guided(X, SIGMAS[1], COND), unconditional_fn(X, SIGMAS[1], COND)
  )


def test_guided_images_keep_their_shape():
  images = jnp.linspace(-1, 1, 2 * 3 * 3).reshape(2, 3, 3, 1)
  guided = guidance.classifier_guidance(
    lambda x, sigma, cond: x,
    lambda x, sigma, cond: jnp.sum(x, axis=(1, 2, 3)),
    guidance_weight=2.0,
  )
  found = guided(images, jnp.array([1.0, 3.0]), None)
  np.testing.assert_allclose(found[0], images[0] + 2, rtol=1e-6)
  np.testing.assert_allclose(found[1], images[1] + 18, rtol=1e-6)


def test_thresholding_leaves_alone_what_is_inside():
  inside = jax.random.uniform(jax.random.key(0), (4, 5, 5, 3), minval=-1)
  np.testing.assert_array_equal(guidance.dynamic_threshold(inside), inside)


def test_thresholding_brings_each_sample_inside_by_itself():
  steps = jnp.arange(-100, 101, dtype=jnp.float32) / 100
  x = jnp.stack([steps, 4 * steps])
  found = guidance.dynamic_threshold(x, quantile=0.5)
  np.testing.assert_array_equal(found[0], x[0])
  # Half the values of the second are within 2: they are halved, others +-1.
  np.testing.assert_allclose(found[1], jnp.clip(2 * steps, -1, 1), rtol=1e-6)
  # The largest value as the bound: nothing is clipped.
  scaled = guidance.dynamic_threshold(x, quantile=1.0)
  np.testing.assert_allclose(scaled[1], steps, rtol=1e-6)


@pytest.mark.parametrize('sigma', SIGMAS, ids=['scalar', 'per_sample'])
def test_a_thresholded_denoiser_gives_thresholded_estimates(sigma):
  guided = guidance.classifier_free_guidance(
    conditional_fn, unconditional_fn, guidance_weight=30.0
  )
  unbounded = guided(X, sigma, COND)
  assert abs(unbounded).max() > 1
  found = jax.jit(guidance.dynamic_thresholding(guided))(X, sigma, COND)
  assert found.dtype == jnp.float32
  np.testing.assert_allclose(
    found, guidance.dynamic_threshold(unbounded), rtol=1e-5
  )


def test_arguments_out_of_range_are_refused():
  for quantile in (0.0, 1.5):
    with pytest.raises(ValueError, match='quantile'):
      guidance.dynamic_thresholding(conditional_fn, quantile=quantile)
    with pytest.raises(ValueError, match='quantile'):
      guidance.dynamic_threshold(X, quantile=quantile)
  for weight in (float('nan'), float('inf')):
    with pytest.raises(ValueError, match='guidance_weight'):
      guidance.classifier_free_guidance(
        conditional_fn, unconditional_fn, guidance_weight=weight
      )
    with pytest.raises(ValueError, match='guidance_weight'):
      guidance.classifier_guidance(
        conditional_fn, log_likelihood_fn, guidance_weight=weight
      )
