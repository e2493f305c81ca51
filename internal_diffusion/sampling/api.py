"""A compiled sampling function, built once and called often."""

from collections.abc import Callable

import jax
import numpy as np
from tqdm import tqdm

from internal_diffusion import arrays
from internal_diffusion.sampling.samplers import Sampler, sample_heun
from internal_diffusion.types import Condition, ParametricDenoiseFn, Params

Array = jax.Array
SampleFn = Callable[..., np.ndarray]


def make_sample_fn(
  denoise_fn: ParametricDenoiseFn,
  sigmas: Array,
  *,
  sample_shape: tuple[int, ...],
  sampler: Sampler = sample_heun,
  decode_fn: Callable[[Params, Array], Array] | None = None,
  chunk_size: int = 1024,
  return_trajectory: bool = False,
) -> SampleFn:
  """Builds `sample_fn(params, key, cond, *, num_samples, progress)`.

  Everything between two host copies is one compiled function of a fixed shape,
  so no later call compiles again, whatever the number of samples. Each sample
  has a key of its own: sample i of a key is the same whatever `num_samples`
  and, to float32 rounding, whatever `chunk_size`.

  Args:
    denoise_fn: `(params, x, sigma, cond) -> denoised`.
    sigmas: Decreasing grid [T+1], the last 0.
    sample_shape: Shape of one sample.
    sampler: One of `samplers`, its options bound by functools.partial.
    decode_fn: `(params, x0 [B, *sample_shape]) -> [B, ...]`, applied to the
      results on the device, or None.
    chunk_size: How many samples are on the device at once; more wait on the
      host.
    return_trajectory: Whether to return the states at all levels of the grid.

  Returns:
    A function that returns a numpy array [N, ...], or [N, T+1, ...] with the
    trajectory.

  Raises:
    ValueError: If the grid or the chunk size is not one.
  """
  grid = np.asarray(sigmas)
  if (
    grid.ndim != 1
    or len(grid) < 2
    or grid[-1] != 0
    or (np.diff(grid) >= 0).any()
  ):
    raise ValueError(
      '`sigmas` must be a strictly decreasing vector that ends in 0, got'
      f' {grid}.'
    )
  arrays.check_positive_int('chunk_size', chunk_size)

  @jax.jit
  def sample_chunk(
    params: Params, keys: Array, cond: Condition | None
  ) -> Array:
    noise = arrays.normal(arrays.fold_in(keys, 0), (chunk_size, *sample_shape))
    states = sampler(
      arrays.fold_in(keys, 1),
      lambda x, sigma: denoise_fn(params, x, sigma, cond),
      sigmas[0] * noise,
      sigmas,
      return_trajectory=return_trajectory,
    )
    if decode_fn is not None and return_trajectory:
      return jax.vmap(decode_fn, (None, 0), 1)(params, states)
    if decode_fn is not None:
      return decode_fn(params, states)
    return states.swapaxes(0, 1) if return_trajectory else states

  @jax.jit
  def chunk_keys(key: Array, start: Array) -> Array:
    index = start + jax.numpy.arange(chunk_size)
    return jax.vmap(lambda i: jax.random.fold_in(key, i))(index)

  def sample_fn(
    params: Params,
    key: Array,
    cond: Condition | None = None,
    *,
    num_samples: int | None = None,
    progress: bool = False,
  ) -> np.ndarray:
    """Draws samples.

    Args:
      params: Parameters of the denoiser.
      key: One key.
      cond: Conditions, their leading axis the number of samples, or None.
      num_samples: How many; may be left out where a condition says it.
      progress: Whether to show a progress bar.

    Returns:
      The samples as a numpy array, see `make_sample_fn`.

    Raises:
      ValueError: If the number is missing or differs from the conditions'.
    """
    num_samples = _num_samples(cond, num_samples)
    results = []
    with tqdm(
      total=num_samples, desc='sampling', unit='patch', disable=not progress
    ) as bar:
      for start in range(0, num_samples, chunk_size):
        count = min(chunk_size, num_samples - start)
        # The last chunk is filled up with copies of its last condition.
        index = np.minimum(start + np.arange(chunk_size), num_samples - 1)
        chunk_cond = jax.tree.map(lambda c, index=index: c[index], cond)
        chunk = sample_chunk(params, chunk_keys(key, start), chunk_cond)
        results.append(np.asarray(chunk)[:count])
        bar.update(count)
    return np.concatenate(results)

  return sample_fn


def _num_samples(cond: Condition | None, num_samples: int | None) -> int:
  sizes = {leaf.shape[0] for leaf in jax.tree.leaves(cond)}
  if num_samples is not None:
    sizes.add(num_samples)
  if len(sizes) != 1:
    raise ValueError(
      'Say `num_samples`, or give conditions with one leading axis of that'
      f' length; got the sizes {sorted(sizes)}.'
    )
  (size,) = sizes
  arrays.check_positive_int('num_samples', size)
  return size
