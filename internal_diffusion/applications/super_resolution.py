"""Super-resolution of an image from the image itself, with its uncertainty.

What is missing in the antialiased bicubic upscaling of a plane is, block by
block, the sum of three parts: what a linear map says, what a network says
(`training.regression`), and the rest, which nothing in the source tells. The
first two are the conditional mean, the estimate of least squared error. The
rest is drawn by a conditional diffusion model of the blocks' rest given the
source, lifted to planes: blocks are denoised and averaged where they overlap.
With x = mean + noise, the denoiser of the whole is

  D(x; sigma) = mean + D_rest(x - mean; sigma),

which is the mean where the noise drowns everything.

One network doubles the size. Larger factors are reached by doubling again, and
the size between two doublings by antialiased downscaling, since patches recur
best between scales that are near each other (Glasner et al. 2009). In the end,
the result is made to become the given image when downscaled.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from tqdm import tqdm

from internal_diffusion.data import degradation as degradation_lib
from internal_diffusion.data import image_io, upscaling_pairs
from internal_diffusion.data.colour_planes import from_planes, to_planes
from internal_diffusion.data.distributions import Layout, Part
from internal_diffusion.data.symmetry import pixel_orders
from internal_diffusion.data.upscaling_pairs import (
  SourceEncoding,
  UpscalingPairs,
)
from internal_diffusion.denoisers import learned
from internal_diffusion.diffusion.schedules import karras_sigmas
from internal_diffusion.sampling.overlapping_blocks import (
  average_blocks,
  extract_blocks,
)
from internal_diffusion.sampling.samplers import sample_heun
from internal_diffusion.training import regression, setup
from internal_diffusion.training.examples import Examples
from internal_diffusion.training.fit import fit, fit_task
from internal_diffusion.training.model import LearnedModel
from internal_diffusion.types import Condition, Params

Array = jax.Array

_DOUBLING = 2  # The factor of the network, unless there is a kernel.
_CHUNK = 8192  # Sources on the device at once.
_SIGMA_MIN, _SIGMA_MAX = 0.002, 1.0  # Of the rest of a plane in [-1, 1].


class Upscaler(NamedTuple):
  """What was learnt from a plane.

  Attributes:
    factor: By which the network upscales.
    source_size: S.
    reach: Of blocks, in low pixels.
    encoding: Of sources.
    network: From features to normalised blocks.
    params: The network's.
    rest: The model of what the network leaves, or None.
    kernel: Blur of the degradation, or None.
  """

  factor: int
  source_size: int
  reach: int
  encoding: SourceEncoding
  network: regression.RegressionMLP
  params: Params
  rest: LearnedModel | None
  kernel: np.ndarray | None


class Upscaled(NamedTuple):
  """An image, upscaled.

  Attributes:
    mean: [H, W, C] in [-1, 1].
    samples: [K, H, W, C], or None.
  """

  mean: np.ndarray
  samples: np.ndarray | None


def train_upscaler(
  image: np.ndarray,
  config: ml_collections.ConfigDict,
  *,
  kernel: np.ndarray | None = None,
  factor: int = 2,
  progress: bool = False,
) -> Upscaler:
  """Learns from an image's luminance and its own downscaled versions.

  Args:
    image: [H, W, C] float32 in [-1, 1].
    config: As in configs/upscale.py.
    kernel: Blur of the degradation, [k, k]; None is antialiased bicubic.
    factor: Of the pairs, a whole number; 2 unless there is a kernel.
    progress: Whether to show progress bars.

  Raises:
    ValueError: If the image is too small, or a field is not usable.
  """
  if kernel is None and factor != _DOUBLING:
    raise ValueError(
      f'`factor` must be {_DOUBLING} without a kernel, got {factor}.'
    )
  pairs = upscaling_pairs.build_pairs(
    to_planes(image_io.check_image(image))[0],
    factor=factor,
    source_size=config.source_size,
    reach=config.reach,
    kernel=kernel,
    seed=config.mean.seed,
  )
  task = regression.make_task(pairs, config.mean)
  network = regression.make_network(pairs, config.mean)
  has_rest = config.rest.num_steps or config.rest.max_minutes
  if has_rest:  # What is wrong with it is said before the mean is trained.
    setup.make_run(rest_examples(pairs, network, {}), config.rest)
  params = fit_task(task, config.mean, progress=progress).network
  rest = None
  if has_rest:
    examples = rest_examples(pairs, network, params)
    rest = fit(examples, config.rest, progress=progress)
  return Upscaler(
    factor=factor,
    source_size=config.source_size,
    reach=config.reach,
    encoding=pairs.encoding,
    network=network,
    params=params,
    rest=rest,
    kernel=kernel,
  )


def rest_examples(
  pairs: UpscalingPairs, network: regression.RegressionMLP, params: Params
) -> Examples:
  """What the network leaves of targets, given their features."""

  def draw_fn(
    key: Array, data: tuple[UpscalingPairs, Params], num: int
  ) -> tuple[Array, Condition]:
    pairs, params = data
    features, target = upscaling_pairs.sample_pairs(key, pairs, num=num)
    predicted = regression.predict(network, params, features)
    return target - predicted, Condition(vector=features)

  return Examples(
    data=(pairs, params),
    draw_fn=draw_fn,
    layout=rest_layout(pairs.encoding),
  )


def rest_layout(encoding: SourceEncoding) -> Layout:
  """The parts of the model of the rest."""
  source_dim, block_dim = encoding.linear.shape
  return Layout((Part('target', block_dim),), (Part('source', source_dim),))


class _Sources(NamedTuple):
  """The sources of a low plane.

  Attributes:
    features: [h * w, F].
    contrast: [h * w, 1].
  """

  features: Array
  contrast: Array


def _in_chunks(fn: Callable[..., Any], *rows: Array) -> Any:
  """`fn` of arrays [N, ...], a bounded number of rows at a time."""
  num = len(rows[0])
  size = min(_CHUNK, num)

  def chunks(array: Array) -> Array:
    pad = [(0, -num % size)] + [(0, 0)] * (array.ndim - 1)
    padded = jnp.pad(array, pad, mode='edge')
    return padded.reshape(-1, size, *array.shape[1:])

  made = jax.lax.map(lambda parts: fn(*parts), tuple(map(chunks, rows)))
  return jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:])[:num], made)


def _sources(low: Array, source_size: int) -> Array:
  """The sources of a low plane [h, w], [h * w, S*S]."""
  half = source_size // 2
  padded = jnp.pad(low, half, mode='edge')
  views = [
    padded[i : i + low.shape[0], j : j + low.shape[1]]
    for i, j in np.ndindex(source_size, source_size)
  ]
  return jnp.stack(views, axis=-1).reshape(-1, source_size**2)


@functools.partial(jax.jit, static_argnames=('source_size', 'reach', 'network'))
def _predict(
  low: Array,
  encoding: SourceEncoding,
  params: Params,
  *,
  source_size: int,
  reach: int,
  network: regression.RegressionMLP,
) -> tuple[Array, _Sources]:
  """The blocks [h, w, T*T] that are missing in a low plane [h, w], the mean.

  The mean over the eight orientations that a source can be shown in.
  """
  block_dim = encoding.linear.shape[-1]
  source_orders = jnp.asarray(pixel_orders(source_size))
  # Back from the block of a turned source.
  back = np.argsort(pixel_orders(round(block_dim**0.5)), axis=-1)

  def blocks_of(source: Array) -> tuple[Array, _Sources]:
    z, contrast = upscaling_pairs.normalise(source)

    def turned(orders: tuple[Array, Array]) -> Array:
      order, inverse = orders
      seen = z[:, order] @ encoding.features
      return regression.predict(network, params, seen)[:, inverse]

    predicted = jax.lax.map(turned, (source_orders, jnp.asarray(back)))
    blocks = z @ encoding.linear + jnp.mean(predicted, axis=0)
    return contrast * blocks, _Sources(z @ encoding.features, contrast)

  blocks, sources = _in_chunks(blocks_of, _sources(low, source_size))
  return blocks.reshape(*low.shape, block_dim), sources


@functools.partial(
  jax.jit, static_argnames=('principal_denoise_fn', 'factor', 'reach', 'shape')
)
def _sample_rest(
  key: Array,
  params: learned.LearnedParams,
  sources: _Sources,
  sigmas: Array,
  *,
  principal_denoise_fn: Any,
  factor: int,
  reach: int,
  shape: tuple[int, int],
) -> Array:
  """What the mean leaves of a high plane, one sample [s h, s w]."""
  denoise_fn = learned.to_pixel_space(principal_denoise_fn)

  def plane_fn(x: Array, sigma: Array) -> Array:
    blocks = extract_blocks(x[0], factor=factor, reach=reach)

    def one_chunk(block: Array, features: Array, contrast: Array) -> Array:
      level = sigma / contrast[:, 0]
      cond = Condition(vector=features)
      return contrast * denoise_fn(params, block / contrast, level, cond)

    denoised = _in_chunks(
      one_chunk, blocks.reshape(-1, blocks.shape[-1]), *sources
    )
    return average_blocks(
      denoised.reshape(blocks.shape), factor=factor, reach=reach
    )[None]

  noise_key, sample_key = jax.random.split(key)
  high = (1, *(factor * side for side in shape))
  x = sigmas[0] * jax.random.normal(noise_key, high)
  return sample_heun(sample_key, plane_fn, x, sigmas)[0]


def _upscale_plane(upscaler: Upscaler, low: Array) -> tuple[Array, _Sources]:
  """A plane [h, w] upscaled by the network's factor, the mean, and sources."""
  factor = upscaler.factor
  high = (factor * low.shape[0], factor * low.shape[1])
  degradation = degradation_lib.make_degradation(
    (low.shape[0], low.shape[1]), high, kernel=upscaler.kernel
  )
  missing, sources = _predict(
    low,
    upscaler.encoding,
    upscaler.params,
    source_size=upscaler.source_size,
    reach=upscaler.reach,
    network=upscaler.network,
  )
  enlarged = degradation_lib.upscale(low[..., None], degradation)[..., 0]
  mean = enlarged + average_blocks(missing, factor=factor, reach=upscaler.reach)
  return _project(mean, low, degradation), sources


def _project(
  high: Array, low: Array, degradation: degradation_lib.Degradation
) -> Array:
  """A plane that becomes the low one when downscaled."""
  projected = _back_project(high[..., None], low[..., None], degradation)
  return projected[..., 0]


_back_project = jax.jit(
  degradation_lib.back_project, static_argnames='num_steps'
)


def num_doublings(factor: float) -> int:
  """How often a size is doubled to reach a factor."""
  return max(1, math.ceil(math.log2(factor) - 1e-6))


def upscale(
  key: Array,
  upscaler: Upscaler,
  image: np.ndarray,
  *,
  factor: float,
  num_samples: int = 0,
  num_steps: int = 10,
  progress: bool = False,
) -> Upscaled:
  """Upscales an image.

  Args:
    key: One key.
    upscaler: What was learnt, from this image as a rule.
    image: [h, w, C] float32 in [-1, 1].
    factor: Any number in [1.1, 8]; that of the upscaler if it has a kernel.
    num_samples: K.
    num_steps: Heun steps of a sample.
    progress: Whether to show a progress bar.

  Returns:
    The mean, and K samples where K is not 0.

  Raises:
    ValueError: If an argument is not as said above, or samples are asked for
      that the upscaler was not trained for.
  """
  image = image_io.check_image(image)
  if num_samples < 0:
    raise ValueError(f'`num_samples` must be at least 0, got {num_samples}.')
  size = degradation_lib.scaled_size(image.shape[:2], factor)
  if num_samples and upscaler.rest is None:
    raise ValueError(
      '`num_samples` must be 0: this upscaler was trained for the mean alone.'
    )
  if upscaler.kernel is not None and factor != upscaler.factor:
    raise ValueError(
      f'`factor` must be {upscaler.factor}, that of the kernel, got {factor}.'
    )
  degradation = degradation_lib.make_degradation(
    image.shape[:2], size, kernel=upscaler.kernel
  )
  times = 1
  if upscaler.kernel is None:
    times = num_doublings(factor)
  planes, rests = [], np.zeros((num_samples, *size), np.float32)
  for index, plane in enumerate(to_planes(image)):
    low = jnp.asarray(plane)
    for _ in range(times - 1):
      low, _ = _upscale_plane(upscaler, low)
    high, sources = _upscale_plane(upscaler, low)
    planes.append(_to_size(high, size))
    if index == 0:
      for k in tqdm(range(num_samples), desc='samples', disable=not progress):
        rest = _draw_rest(
          jax.random.fold_in(key, k),
          upscaler,
          sources,
          (low.shape[0], low.shape[1]),
          num_steps,
        )
        rests[k] = _to_size(rest, size)
  mean = np.stack(planes)
  samples = None
  if num_samples:
    drawn = np.repeat(mean[None], num_samples, axis=0)
    drawn[:, 0] += rests
    samples = np.stack(
      [_finish(sample, image, degradation) for sample in drawn]
    )
  return Upscaled(_finish(mean, image, degradation), samples)


def _draw_rest(
  key: Array,
  upscaler: Upscaler,
  sources: _Sources,
  shape: tuple[int, int],
  num_steps: int,
) -> Array:
  assert upscaler.rest is not None
  return _sample_rest(
    key,
    upscaler.rest.params,
    sources,
    karras_sigmas(num_steps, sigma_min=_SIGMA_MIN, sigma_max=_SIGMA_MAX),
    principal_denoise_fn=upscaler.rest.principal_denoise_fn,
    factor=upscaler.factor,
    reach=upscaler.reach,
    shape=shape,
  )


def _to_size(plane: Array, size: tuple[int, int]) -> np.ndarray:
  """A plane at its last size, which is at most its own."""
  if plane.shape == size:
    return np.asarray(plane)
  return np.asarray(jax.image.resize(plane, size, 'cubic', antialias=True))


def _finish(
  planes: np.ndarray,
  image: np.ndarray,
  degradation: degradation_lib.Degradation,
) -> np.ndarray:
  """The image of planes that becomes the given one when downscaled."""
  made = _back_project(
    jnp.asarray(from_planes(planes)), jnp.asarray(image), degradation
  )
  return np.asarray(made).clip(-1, 1)
