"""Speed of gathering, training and sampling, beside their bounds.

  python -m benchmarks.throughput

The bound of training and of sampling is the time of their matrix products
alone, each shape timed by itself in the same run. The ratios are comparable
between machines; the times are not.
"""

import collections
import functools
import statistics
import tempfile
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
import skimage.data

from benchmarks import timing
from internal_diffusion import arrays
from internal_diffusion.applications.patches import PatchOptions
from internal_diffusion.applications.patches.examples import image_examples
from internal_diffusion.applications.patches.training import train_patches
from internal_diffusion.compilation import measure_compilation
from internal_diffusion.data import image_io, patches
from internal_diffusion.denoisers import learned
from internal_diffusion.diffusion import schedules
from internal_diffusion.options import replace
from internal_diffusion.sampling.api import make_sample_fn
from internal_diffusion.training import parallel
from internal_diffusion.training import step as step_lib
from internal_diffusion.training.denoising import make_denoiser
from internal_diffusion.training.denoising_loss import denoising_loss
from internal_diffusion.training.examples import Examples
from internal_diffusion.training.state import create_train_state
from internal_diffusion.types import Condition

_REPEATS = 20
_SUBSTEPS = 50
_PAIRS = 7
_HOST_STEPS = 1000


@functools.cache
def repeated_product(m: int, k: int, n: int) -> Callable[[], jax.Array]:
  """Compiled call of `_REPEATS` products [m, k] @ [k, n] in float32."""
  a, b = jnp.ones((m, k)), jnp.ones((k, n))

  @jax.jit
  def repeat(a: jax.Array, b: jax.Array) -> jax.Array:
    def body(carry: jax.Array, _: None) -> tuple[jax.Array, None]:
      # Each product depends on the previous one, so none can be skipped.
      return ((a + carry) @ b)[0, 0] * 1e-30, None

    return jax.lax.scan(body, jnp.zeros(()), length=_REPEATS)[0]

  return lambda: repeat(a, b)


def kernel_shapes(params: object) -> list[tuple[int, int]]:
  """Shapes (in, out) of all matrices that multiply a batch."""
  flat = jax.tree_util.tree_leaves_with_path(params)
  return [
    leaf.shape for path, leaf in flat if 'kernel' in jax.tree_util.keystr(path)
  ]


def training_products(
  kernels: Sequence[tuple[int, int]], batch: int, dim: int, input_dim: int
) -> list[tuple[int, int, int]]:
  """Shapes of all products of a training step with a batch of references."""
  products = []
  for rows, columns in kernels:
    products.append((batch, rows, columns))  # Forward.
    products.append((rows, batch, columns))  # Gradient of the matrix.
    if rows != input_dim:  # The network's own input needs no gradient.
      products.append((batch, columns, rows))
  # To the principal basis; targets: distances to the batch, weighted means.
  return [
    *products,
    (batch, dim, dim),
    (batch, dim, batch),
    (batch, batch, dim),
  ]


def products_seconds(products: Sequence[tuple[int, int, int]]) -> float:
  """Sum of the products' times, each shape timed by itself."""
  total = 0.0
  for shape, count in collections.Counter(products).items():
    call = repeated_product(*shape)
    total += count * timing.seconds_of(call, repeats=1) / _REPEATS
  return total


def in_pairs(
  call: Callable[[], object], products: Sequence[tuple[int, int, int]]
) -> tuple[float, float, list[float]]:
  """Median times of a call and of its products, and their ratios.

  Both are measured in turn, because the machine's speed drifts.
  """
  pairs = [
    (timing.seconds_of(call, repeats=1), products_seconds(products))
    for _ in range(_PAIRS)
  ]
  calls, alone = zip(*pairs, strict=True)
  ratios = [p / c for c, p in pairs]
  return statistics.median(calls), statistics.median(alone), ratios


def measure_gathering(examples: Examples, patch_size: int) -> dict[str, float]:
  """Pixels gathered per second at given positions."""
  num = 2**16
  pyramid, table = examples.data
  uniform = jax.random.uniform(jax.random.key(0), (num, 3))
  level = arrays.categorical_from_uniform(uniform[:, 0], table.probability)
  row, column = (
    arrays.index_from_uniform(uniform[:, i], sides[level] - patch_size + 1)
    for i, sides in ((1, pyramid.heights), (2, pyramid.widths))
  )
  gather = jax.jit(
    lambda level, row, column: patches.gather_patches(
      pyramid, level, row, column, patch_size=patch_size
    )
  )
  seconds = timing.seconds_of(lambda: gather(level, row, column))
  return {'million_pixels_per_second': num * patch_size**2 / seconds / 1e6}


def measure_training(
  examples: Examples, options: PatchOptions
) -> dict[str, float]:
  """Times of a step, of its products alone and of the compilation."""
  batch = options.batch_size
  model = make_denoiser(examples, options)
  state = create_train_state(jax.random.key(0), model, options.optimizer)
  loss = denoising_loss(examples, options)
  step = step_lib.Step(loss, options.optimizer, options.ema_decay)

  def call() -> step_lib.Metrics:
    nonlocal state
    state, metrics = parallel.run_steps(
      state,
      examples.data,
      step,
      num_steps=1000,
      batch_size=batch,
      num_devices=1,
      num_substeps=_SUBSTEPS,
    )
    return metrics

  with measure_compilation() as meter:
    call()
  products = training_products(
    kernel_shapes(model.params),
    batch,
    sum(model.layout.x0_sizes),
    learned.network_dims(model.layout).input,
  )
  seconds, alone, ratios = in_pairs(call, products)
  fractions = [_SUBSTEPS * ratio for ratio in ratios]
  return {
    'patches_per_second': batch * _SUBSTEPS / seconds,
    'step_ms': 1e3 * seconds / _SUBSTEPS,
    'products_ms': 1e3 * alone,
    'fraction_of_product_bound': statistics.median(fractions),
    'fraction_in_each_pair': fractions,
    'compile_seconds': meter.seconds,
  }


def measure_host(image: np.ndarray, options: PatchOptions) -> dict[str, float]:
  """Time of logs and checkpoints in a real run, over that of the steps."""
  options = replace(options, num_steps=_HOST_STEPS)
  with tempfile.TemporaryDirectory() as workdir:
    fitted = train_patches(image, options, workdir, progress=True)
  return {
    'logging_and_saving_over_steps': fitted.seconds['other']
    / fitted.seconds['run']
  }


def measure_sampling(
  examples: Examples, options: PatchOptions
) -> dict[str, float]:
  """Time of 4096 patches with 18 Heun steps, and of its products alone."""
  num, num_steps, chunk = 4096, 18, 1024
  model = make_denoiser(examples, options)
  dim = sum(model.layout.x0_sizes)
  sample_fn = make_sample_fn(
    schedules.karras_sigmas(num_steps, sigma_max=40.0),
    sample_shape=(dim,),
    decodes=True,
    chunk_size=chunk,
  )
  cond = Condition(level=jnp.zeros(num, jnp.int32))
  forward = [(chunk, *shape) for shape in kernel_shapes(model.params)]
  products = forward * (2 * num_steps - 1) + [(chunk, dim, dim)]
  seconds, alone, ratios = in_pairs(
    lambda: sample_fn(
      learned.PrincipalDenoiser(model), jax.random.key(0), cond
    ),
    products * (num // chunk),
  )
  return {
    'patches_per_second': num / seconds,
    'seconds': seconds,
    'products_seconds': alone,
    'fraction_of_product_bound': statistics.median(ratios),
    'fraction_in_each_pair': ratios,
  }


def main() -> None:
  """Runs all measurements and saves the results."""
  options = PatchOptions()
  image = 2 * (skimage.data.coffee() / np.float32(255)) - 1
  image = image_io.bound_side(image, max_side=250)
  examples = image_examples(image, options)
  timing.save(
    'throughput',
    'python -m benchmarks.throughput',
    {
      'gathering': measure_gathering(examples, options.patch_size),
      'training': measure_training(examples, options),
      'host': measure_host(image, options),
      'sampling': measure_sampling(examples, options),
    },
  )


if __name__ == '__main__':
  main()
