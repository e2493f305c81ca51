import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.compilation import measure_compilation
from internal_diffusion.denoisers import closed_form, reference_set
from internal_diffusion.denoisers.closed_form import ClosedFormDenoiser
from internal_diffusion.types import Condition


def brute_force(x, sigma, references, allowed=None, log_prior=0.0):
  x, references = np.float64(x), np.float64(references)
  distance = ((x[:, None] - references[None]) ** 2).sum(-1)
  log_weight = -distance / (2 * np.float64(sigma)[:, None] ** 2) + log_prior
  if allowed is not None:
    log_weight[~allowed] = -np.inf
  log_weight -= log_weight.max(axis=1, keepdims=True)
  weight = np.exp(log_weight)
  return weight @ references / weight.sum(axis=1, keepdims=True)


@pytest.mark.parametrize('sigma', [0.05, 0.5, 5.0])
def test_agrees_with_float64_brute_force(sigma):
  keys = jax.random.split(jax.random.key(0), 3)
  references = jax.random.normal(keys[0], (40, 6))
  x = references[:8] + sigma * jax.random.normal(keys[1], (8, 6))
  log_prior = jax.random.normal(keys[2], (8, 40)).at[:, ::3].set(-jnp.inf)
  sigmas = jnp.full(8, sigma)
  found = closed_form.posterior_mean(x, sigmas, references, log_prior=log_prior)
  expected = brute_force(x, sigmas, references, log_prior=np.float64(log_prior))
  np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_limits_are_the_nearest_and_the_mean():
  references = jnp.array([[0.0], [1.0], [4.0]])
  x = jnp.array([[0.9], [3.0]])
  near = closed_form.posterior_mean(x, jnp.full(2, 1e-2), references)
  far = closed_form.posterior_mean(x, jnp.full(2, 1e4), references)
  np.testing.assert_allclose(near[:, 0], [1, 4], atol=1e-6)
  np.testing.assert_allclose(far[:, 0], 5 / 3, rtol=1e-3)


DIM, COND_DIM = 75, 9

# Compiled once for all noise levels.
mean_fn = jax.jit(
  closed_form.streaming_posterior_mean, static_argnames='query_chunk'
)


def denoise(model, x, sigma):
  return model(x, sigma)


@pytest.fixture(scope='module')
def patches():
  """Vectors with a mean, in clusters tight enough to blend at small sigma."""
  rng = np.random.default_rng(0)
  centres = 0.3 + 0.4 * rng.standard_normal((40, DIM))
  spread = np.repeat([1e-3, 1e-2, 0.1, 0.5], 10)[:, None]
  members = centres + spread * rng.standard_normal((25, 40, DIM)) / 3
  return jnp.asarray(members.reshape(-1, DIM), jnp.float32)


def queries(patches, sigma, num=70):
  rng = np.random.default_rng(1)
  x0 = np.asarray(patches)[rng.integers(len(patches), size=num)]
  noise = rng.standard_normal((num, DIM))
  return jnp.asarray(x0 + np.float64(sigma) * noise, jnp.float32)


def relative_error(found, expected):
  error = np.linalg.norm(found - expected, axis=-1)
  return (error / np.linalg.norm(expected, axis=-1)).max()


@pytest.mark.parametrize('sigma', [1e-3, 1e-2, 0.1, 1.0, 10.0, 80.0])
def test_streaming_is_exact_at_every_level(patches, sigma):
  x = queries(patches, sigma)
  # Neither number of samples nor of references is a multiple of its chunk.
  prepared = reference_set.prepare_references(patches, data_chunk=300)
  found = mean_fn(x, jnp.float32(sigma), prepared, query_chunk=32)
  expected = brute_force(x, np.full(len(x), np.float32(sigma)), patches)
  assert found.dtype == jnp.float32
  assert relative_error(found, expected) < 1e-5


def test_blends_of_references_are_exact_at_small_levels(patches):
  # Samples whose posterior is spread over many references that differ by less
  # than the rounding error of plain inner products allows to see.
  x = patches[:10] + 1e-3 * jax.random.normal(jax.random.key(0), (10, DIM))
  close = jnp.concatenate([patches[:10] + 1e-4 * i for i in range(-9, 10)])
  sigma = jnp.float32(5e-3)
  found = ClosedFormDenoiser.create(close)(x, sigma)
  expected = brute_force(x, np.full(10, sigma), close)
  shift = np.linalg.norm(expected - close[90:100], axis=-1).min()
  assert shift > 1e-5  # It is a blend.
  assert relative_error(found, expected) < 1e-6


def test_a_noise_level_for_each_sample_is_one_at_a_time(patches):
  sigma = jnp.geomspace(0.01, 10.0, 70)
  x = queries(patches, sigma[:, None])
  model = ClosedFormDenoiser.create(patches, query_chunk=16)
  found = jax.jit(denoise)(model, x, sigma)
  assert relative_error(found, brute_force(x, sigma, patches)) < 1e-5
  one = model(x[3:4], sigma[3])
  np.testing.assert_allclose(found[3:4], one, rtol=1e-5, atol=1e-6)


def test_the_result_does_not_depend_on_the_chunks(patches):
  x = queries(patches, 0.3)
  results = [
    ClosedFormDenoiser.create(
      patches, query_chunk=query_chunk, data_chunk=data_chunk
    )(x, jnp.float32(0.3))
    for query_chunk, data_chunk in [(1, 1000), (70, 7), (64, 5000)]
  ]
  np.testing.assert_allclose(results[0], results[1], rtol=1e-5, atol=1e-6)
  np.testing.assert_allclose(results[0], results[2], rtol=1e-5, atol=1e-6)


def conditional_setup(patches, sigma_aug):
  rng = np.random.default_rng(2)
  mixing = rng.standard_normal((DIM, COND_DIM)) / np.sqrt(DIM)
  conditions = jnp.asarray(patches @ mixing, jnp.float32)
  noise = sigma_aug * rng.standard_normal((70, COND_DIM))
  vector = jnp.asarray(conditions[:70] + noise, jnp.float32)
  return conditions, Condition(vector=vector)


def joint_brute_force(x, sigma, references, vector, conditions, sigma_aug):
  """Both distances as one, each axis in units of its noise level."""
  x, references = np.float64(x), np.float64(references)
  vector, conditions = np.float64(vector), np.float64(conditions)
  joint = np.concatenate([x / sigma, vector / sigma_aug], axis=1)
  others = np.concatenate([references / sigma, conditions / sigma_aug], axis=1)
  distance = ((joint[:, None] - others[None]) ** 2).sum(-1)
  weight = np.exp((distance.min(axis=1, keepdims=True) - distance) / 2)
  return weight @ references / weight.sum(axis=1, keepdims=True)


@pytest.mark.parametrize('sigma_aug', [0.01, 0.1, 1.0])
@pytest.mark.parametrize('sigma', [0.02, 0.3, 20.0, float('inf')])
def test_conditions_are_compared_at_their_own_noise_level(
  patches, sigma, sigma_aug
):
  conditions, cond = conditional_setup(patches, sigma_aug)
  noise = np.random.default_rng(3).standard_normal((70, DIM))
  finite = np.isfinite(sigma)
  # At infinity x has no weight.
  x = jnp.float32(patches[:70] + sigma * noise if finite else noise * np.inf)
  prepared = reference_set.prepare_references(
    patches, conditions=conditions, sigma_aug=sigma_aug, data_chunk=128
  )
  found = mean_fn(x, jnp.float32(sigma), prepared, cond, query_chunk=50)
  expected = joint_brute_force(
    x if finite else np.zeros_like(x),
    np.float64(np.float32(sigma)),
    patches,
    cond.vector,
    conditions,
    np.float64(np.float32(sigma_aug)),
  )
  assert relative_error(found, expected) < 1e-5


def test_derivatives_agree_with_differences_of_brute_force(patches):
  sigma, sigma_aug, step = 0.5, 0.25, 1e-5
  conditions, cond = conditional_setup(patches, sigma_aug)
  x, vector = queries(patches, sigma, num=20), cond.vector[:20]
  model = ClosedFormDenoiser.create(
    patches, conditions=conditions, sigma_aug=sigma_aug, data_chunk=300
  )
  point = (x, jnp.float32(sigma), vector)
  directions = tuple(
    jax.random.normal(jax.random.key(i), p.shape) for i, p in enumerate(point)
  )
  for i, direction in enumerate(directions):
    tangent = [jnp.zeros_like(p) for p in point]
    tangent[i] = direction
    _, found = jax.jvp(
      lambda x, sigma, vector: model(x, sigma, Condition(vector=vector)),
      point,
      tuple(tangent),
    )
    ends = []
    for sign in (-1, 1):
      moved = [np.float64(p) for p in point]
      moved[i] = moved[i] + sign * step * np.float64(direction)
      ends.append(
        joint_brute_force(
          moved[0], moved[1], patches, moved[2], conditions, sigma_aug
        )
      )
    expected = (ends[1] - ends[0]) / (2 * step)
    scale = abs(expected).max()
    assert scale > 1e-2
    np.testing.assert_allclose(found, expected, atol=1e-5 * scale)


def test_zero_noise_gives_the_nearest_and_infinite_the_mean(patches):
  model = ClosedFormDenoiser.create(patches)
  np.testing.assert_allclose(
    model(patches[:9], jnp.float32(0)), patches[:9], atol=1e-6
  )
  mean = np.float64(patches).mean(axis=0, keepdims=True)
  found = model(patches[:2], jnp.float32(jnp.inf))
  assert relative_error(found, mean) < 1e-6


def test_levels_restrict_and_priors_weigh(patches):
  levels = jnp.arange(len(patches)) % 3
  prior = jax.random.normal(jax.random.key(0), (len(patches),))
  x, wanted = queries(patches, 0.5), jnp.arange(70) % 3
  found = ClosedFormDenoiser.create(
    patches, levels=levels, log_prior=prior, data_chunk=100
  )(x, jnp.float32(0.5), Condition(level=wanted))
  expected = brute_force(
    x,
    np.full(70, 0.5),
    patches,
    allowed=np.asarray(levels)[None] == np.asarray(wanted)[:, None],
    log_prior=np.float64(prior)[None],
  )
  assert relative_error(found, expected) < 1e-5


def test_a_level_that_fills_whole_tiles_is_found_wherever_it_lies(patches):
  levels = jnp.arange(len(patches)) // 250
  prepared = reference_set.prepare_references(
    patches, levels=levels, data_chunk=50
  )
  for level in range(5):
    cond = Condition(level=jnp.full(3, level))
    found = mean_fn(patches[:3], jnp.float32(1e6), prepared, cond)
    if level < 4:
      part = np.float64(patches[level * 250 : (level + 1) * 250])
      mean = part.mean(axis=0, keepdims=True)
      assert relative_error(found, mean) < 1e-5
    else:
      assert np.isnan(found).all()


@jax.jit
@jax.grad
def projection_gradient_fn(x, sigma, prepared, direction):
  return jnp.sum(direction * mean_fn(x, sigma, prepared, query_chunk=8))


@pytest.mark.parametrize('sigma', [0.01, 0.05, 0.5, 5.0])
def test_the_derivative_is_the_posterior_covariance(patches, sigma):
  # dD/dx = Cov(x0 | x) / sigma^2, symmetric: the gradient of a projection of D
  # is the covariance with that projection.
  x = queries(patches, sigma, num=20)
  direction = jax.random.normal(jax.random.key(0), x.shape)
  prepared = reference_set.prepare_references(patches, data_chunk=128)
  found = projection_gradient_fn(x, jnp.float32(sigma), prepared, direction)
  x64, y = np.float64(x), np.float64(patches)
  level = np.float64(np.float32(sigma))
  distance = ((x64[:, None] - y[None]) ** 2).sum(-1) / (2 * level**2)
  weight = np.exp(distance.min(axis=1, keepdims=True) - distance)
  weight /= weight.sum(axis=1, keepdims=True)
  centred = y[None] - (weight @ y)[:, None]
  along = np.einsum('bnd,bd->bn', centred, np.float64(direction))
  expected = np.einsum('bn,bnd->bd', weight * along, centred) / level**2
  scale = abs(expected).max()
  assert scale > 1e-2
  np.testing.assert_allclose(found, expected, atol=1e-4 * scale)


def test_no_matrix_of_all_weights_is_held():
  num = 6000
  prepared = reference_set.prepare_references(
    jax.random.normal(jax.random.key(0), (num, 4)), data_chunk=100
  )

  def loss(x, prepared):
    mean = closed_form.streaming_posterior_mean(
      x, jnp.float32(0.5), prepared, query_chunk=100
    )
    return jnp.sum(mean**2)

  x = jnp.zeros((num, 4))
  for function in (loss, jax.grad(loss)):
    compiled = jax.jit(function).lower(x, prepared).compile()
    held = compiled.memory_analysis().temp_size_in_bytes
    assert held < 4 * num**2 / 20


def test_arguments_that_do_not_fit_are_refused(patches):
  make = ClosedFormDenoiser.create
  conditions = jnp.zeros((len(patches), 2))
  for name, options in {
    'sigma_aug': {'conditions': conditions},
    'conditions': {'sigma_aug': 0.1},
    'levels': {'levels': jnp.zeros(3)},
    'log_prior': {'log_prior': jnp.zeros(3)},
    'data_chunk': {'data_chunk': 0},
    'query_chunk': {'query_chunk': 0},
  }.items():
    with pytest.raises(ValueError, match=f'`{name}`'):
      make(patches, **options)
  for sigma_aug in (0.0, -1.0, float('nan')):
    with pytest.raises(ValueError, match='sigma_aug'):
      make(patches, conditions=conditions, sigma_aug=sigma_aug)
  with pytest.raises(ValueError, match='conditions'):
    make(patches, conditions=conditions[:-1], sigma_aug=0.1)
  with pytest.raises(ValueError, match='empty'):
    make(patches[:0])
  with pytest.raises(ValueError, match='references'):
    make(patches[0])


def test_queries_that_do_not_fit_are_refused(patches):
  conditions = jnp.zeros((len(patches), 2))
  model = ClosedFormDenoiser.create(
    patches,
    conditions=conditions,
    sigma_aug=0.1,
    levels=jnp.zeros(len(patches), int),
  )
  x, sigma = patches[:3], jnp.float32(1)
  cond = Condition(level=jnp.zeros(3, int), vector=jnp.zeros((3, 2)))
  assert model(x, sigma, cond).shape == x.shape
  for name, arguments in {
    'x': (x[:, :-1], sigma, cond),
    'sigma': (x, jnp.ones(2), cond),
    'cond.vector': (x, sigma, cond._replace(vector=jnp.zeros((3, 1)))),
    'cond.level': (x, sigma, cond._replace(level=None)),
  }.items():
    with pytest.raises(ValueError, match=f'`{name}`'):
      model(*arguments)
  with pytest.raises(ValueError, match='vector'):
    model(x, sigma, None)


def test_a_second_set_of_the_same_size_compiles_nothing(patches):
  compiled = jax.jit(denoise)
  first, second = (
    ClosedFormDenoiser.create(values) for values in (patches, patches[::-1] + 1)
  )
  x, sigma = queries(patches, 0.3), jnp.float32(0.3)
  compiled(first, x, sigma)
  with measure_compilation() as meter:
    found = compiled(second, x, sigma)
  assert meter.count == 0
  expected = brute_force(x, np.full(70, np.float32(0.3)), patches + 1)
  assert relative_error(found, expected) < 1e-5
