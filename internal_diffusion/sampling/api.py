"""A compiled sampling function, called with a model as its argument."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from internal_diffusion import arrays
from internal_diffusion.jax_settings import with_own_settings
from internal_diffusion.sampling import finite
from internal_diffusion.sampling.constraints import Constraint
from internal_diffusion.sampling.samplers import Sampler, sample_heun
from internal_diffusion.types import Condition, Denoiser

Array = jax.Array


@dataclasses.dataclass(frozen=True)
class SampleFn:
  """Draws samples from any model; `make_sample_fn` makes it from its arguments.

  Between two host copies everything is one compiled function of a fixed shape,
  so no later call compiles again: neither for another number of samples nor for
  another model of the same structure. Each sample has a key of its own: sample
  i of a key does not depend on `num_samples` nor, up to float32 rounding, on
  `chunk_size`.
  """

  sigmas: tuple[float, ...]
  sample_shape: tuple[int, ...]
  sampler: Sampler
  sampler_options: tuple[tuple[str, Any], ...] = ()
  chunk_size: int = 1024
  decodes: bool = False
  return_trajectory: bool = False

  @with_own_settings
  def __call__(
    self,
    model: Denoiser,
    key: Array,
    cond: Condition | None = None,
    *,
    num_samples: int | None = None,
    constraints: Sequence[Constraint] = (),
    progress: bool = False,
  ) -> np.ndarray:
    """Draws samples.

    Args:
      model: The denoiser, a pytree.
      key: One key.
      cond: Conditions with a leading axis of the number of samples, or None.
      num_samples: Number of samples N; optional where a condition implies it.
      constraints: Constraints on every clean estimate, in the coordinates of
        the model.
      progress: Whether to show a progress bar.

    Returns:
      Samples [N, ...], or states [N, T+1, ...] with the trajectory.

    Raises:
      ValueError: If the number is missing or differs from the conditions'.
      NonFiniteStateError: If a state is not finite; the step is named.
    """
    num_samples, size = _num_samples(cond, num_samples), self.chunk_size
    results = []
    with tqdm(
      total=num_samples, desc='sampling', unit='sample', disable=not progress
    ) as bar:
      for start in range(0, num_samples, size):
        count = min(size, num_samples - start)
        # The last chunk is filled up with copies of its last condition.
        index = np.minimum(start + np.arange(size), num_samples - 1)
        chunk_cond = jax.tree.map(lambda c, index=index: c[index], cond)
        chunk = self._chunk(model, key, start, chunk_cond, tuple(constraints))
        results.append(chunk[:count])
        bar.update(count)
    return np.concatenate(results)

  def _chunk(self, model: Any, *arguments: Any) -> np.ndarray:
    """The samples of a chunk, all finite."""
    states = dataclasses.replace(self, decodes=False, return_trajectory=True)
    found = np.asarray(_sample_chunk(model, *arguments, self))
    finite.check_states(
      found,
      np.array(self.sigmas),
      lambda: _sample_chunk(model, *arguments, states).swapaxes(0, 1),
    )
    return found


def make_sample_fn(
  sigmas: Array | np.ndarray,
  *,
  sample_shape: tuple[int, ...],
  sampler: Sampler = sample_heun,
  chunk_size: int = 1024,
  decodes: bool = False,
  return_trajectory: bool = False,
  **sampler_options: Any,
) -> SampleFn:
  """Builds `sample_fn(model, key, cond, *, num_samples, progress)`.

  Args:
    sigmas: Path of noise levels [T+1], the last 0; it may rise in places.
    sample_shape: Shape of one sample.
    sampler: A function of `samplers`.
    chunk_size: Number of samples on the device at once; the others wait on the
      host.
    decodes: Whether to return `model.decode(x0)`, for models of other
      coordinates.
    return_trajectory: Whether to return the states at all noise levels.
    **sampler_options: Options of the sampler, such as `s_churn`.

  Raises:
    ValueError: If the path or the chunk size is not usable.

  Example:
    >>> from internal_diffusion.diffusion.schedules import karras_sigmas
    >>> from internal_diffusion.denoisers.gaussian import GaussianDenoiser
    >>> model = GaussianDenoiser.create([0.0, 0.0], [[1.0, 0.0], [0.0, 4.0]])
    >>> sample_fn = make_sample_fn(karras_sigmas(18), sample_shape=(2,))
    >>> sample_fn(model, jax.random.key(0), num_samples=3).shape
    (3, 2)
  """
  grid = np.asarray(sigmas)
  is_path = grid.ndim == 1 and len(grid) > 1 and grid[-1] == 0
  if not (is_path and grid[0] > 0 and (grid >= 0).all()):
    raise ValueError(
      '`sigmas` must be a vector of noise levels that begins above 0 and ends'
      f' in 0, got {grid}.'
    )
  if (np.diff(grid) == 0).any():
    raise ValueError(f'`sigmas` must not repeat a noise level, got {grid}.')
  arrays.check_positive_int('chunk_size', chunk_size)
  return SampleFn(
    tuple(map(float, grid)),
    tuple(sample_shape),
    sampler,
    tuple(sorted(sampler_options.items())),
    chunk_size,
    decodes,
    return_trajectory,
  )


@functools.partial(jax.jit, static_argnames='options')
def _sample_chunk(
  model: Any,
  key: Array,
  start: Array,
  cond: Condition | None,
  constraints: tuple[Constraint, ...],
  options: SampleFn,
) -> Array:
  index = start + jnp.arange(options.chunk_size)
  keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(index)
  sigmas = jnp.asarray(options.sigmas, jnp.float32)
  shape = (options.chunk_size, *options.sample_shape)
  noise = arrays.normal(arrays.fold_in(keys, 0), shape)
  for constraint in constraints:
    noise = constraint.project_noise(noise)
  states = options.sampler(
    arrays.fold_in(keys, 1),
    model,
    sigmas[0] * noise,
    sigmas,
    cond=cond,
    constraints=constraints,
    return_trajectory=options.return_trajectory,
    **dict(options.sampler_options),
  )
  if options.decodes and options.return_trajectory:
    states = jax.vmap(model.decode)(states)
  elif options.decodes:
    states = model.decode(states)
  return states.swapaxes(0, 1) if options.return_trajectory else states


def _num_samples(cond: Condition | None, num_samples: int | None) -> int:
  sizes = {leaf.shape[0] for leaf in jax.tree.leaves(cond)}
  if num_samples is not None:
    sizes.add(num_samples)
  if len(sizes) != 1:
    raise ValueError(
      'Give `num_samples`, or conditions with one leading axis of that length;'
      f' got the sizes {sorted(sizes)}.'
    )
  (size,) = sizes
  arrays.check_positive_int('num_samples', size)
  return size
