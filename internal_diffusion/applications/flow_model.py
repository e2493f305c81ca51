"""A model of p(delta | source, target), learnt from a frame or in closed form.

Both say, for two frames, what every pixel alone knows of its displacement.
"""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import scipy.ndimage

from internal_diffusion.data import flow_pairs, image_io
from internal_diffusion.data.colour_planes import to_planes
from internal_diffusion.data.pyramid import build_pyramid
from internal_diffusion.denoisers import block_matching, displacement
from internal_diffusion.denoisers.displacement import DisplacementParams
from internal_diffusion.sampling import gaussian_field, moments
from internal_diffusion.training import displacement as training
from internal_diffusion.training.fit import fit_task
from internal_diffusion.types import Condition, ParametricDenoiseFn, Params

Array = jax.Array

_SCALE_FACTOR = 0.5
_SIGMA_MAX = 20.0  # In prior standard deviations: x says nothing any more.

_static = functools.partial(flax.struct.field, pytree_node=False)


@flax.struct.dataclass
class FlowModel:
  """What knows of displacements; a pytree of its parameters.

  Attributes:
    params: Of both functions.
    encode_fn: `(params, source [N, P*P], target [N, P*P], sigma_aug [N]) ->
      vector [N, K]`, the condition of a pair with noise of that level.
    denoise_fn: The denoiser of displacements (x, y) [N, 2], given that vector.
    patch_size: P.
    stddev: Of a component of a displacement before anything is seen, in pixels.
    sensor_noise: Lowest and highest noise level that it knows, in units of
      [-1, 1].
  """

  params: Params
  encode_fn: Callable[[Params, Array, Array, Array], Array] = _static()
  denoise_fn: ParametricDenoiseFn = _static()
  patch_size: int = _static()
  stddev: float = _static()
  sensor_noise: tuple[float, float] = _static()


class Seen(NamedTuple):
  """What pixels alone say: Gaussians of where the target stands.

  Attributes:
    mean: Of the posterior, [..., 2] in pixels.
    covariance: Of the posterior, [..., 2, 2].
    precision: Of the likelihood, the posterior's less the prior's.
  """

  mean: Array
  covariance: Array
  precision: Array


class Frame(NamedTuple):
  """A frame's pyramid, finest first.

  Attributes:
    grey: What displacements are read from, [h, w] each.
    colour: Whose edges flows may have, [h, w, C] each.
  """

  grey: list[Array]
  colour: list[Array]


def make_frame(image: np.ndarray, config: ml_collections.ConfigDict) -> Frame:
  """The pyramid of a frame.

  Args:
    image: [H, W, C] in [-1, 1].
    config: As in configs/flow.py.

  Raises:
    ValueError: If the frame is too small.
  """
  smooth = scipy.ndimage.gaussian_filter(
    image_io.check_image(image), (config.smoothing, config.smoothing, 0)
  )
  levels = build_pyramid(
    jnp.asarray(smooth), scale_factor=_SCALE_FACTOR, min_side=config.min_side
  )
  planes = [jnp.asarray(to_planes(np.asarray(level))) for level in levels]
  return Frame(
    [plane[0] for plane in planes],
    [jnp.moveaxis(plane, 0, -1) for plane in planes],
  )


def train_flow_model(
  images: Sequence[np.ndarray],
  config: ml_collections.ConfigDict,
  *,
  progress: bool = False,
) -> FlowModel:
  """Learns from one frame, or from several.

  Args:
    images: Frames, [H, W, C] each in [-1, 1].
    config: As in configs/flow.py.
    progress: Whether to show a progress bar.

  Raises:
    ValueError: If the frame is too small, or an option is not usable.
  """
  levels = [
    np.asarray(level)
    for image in images
    for level in make_frame(image, config).grey
  ]
  pairs = flow_pairs.build_pairs(
    levels,
    num_fields=config.num_fields,
    stddev=config.stddev,
    seed=config.train.seed,
  )
  encoding = training.fit_encoding(pairs, config)
  task = training.make_task(pairs, encoding, config)
  params = fit_task(task, config.train, progress=progress)
  network = training.make_network(config.train)
  return FlowModel(
    encode_fn=functools.partial(displacement.encode, network),
    denoise_fn=functools.partial(displacement.denoise, network),
    params=DisplacementParams(params.network, encoding),
    patch_size=config.patch_size,
    stddev=config.stddev,
    sensor_noise=tuple(config.sensor_noise),
  )


def closed_form_flow_model(config: ml_collections.ConfigDict) -> FlowModel:
  """Block matching: nothing is learnt.

  Args:
    config: As in configs/flow.py.

  Raises:
    ValueError: If an option is not usable.
  """
  options = config.closed_form
  params = block_matching.make_block_matching(
    block_size=options.block_size,
    reach=options.reach,
    steps_per_pixel=options.steps_per_pixel,
  )
  return FlowModel(
    encode_fn=block_matching.encode,
    denoise_fn=block_matching.denoise,
    params=params,
    patch_size=block_matching.patch_size_of(options.block_size, options.reach),
    stddev=params.stddev,
    sensor_noise=tuple(options.sigma_aug),
  )


def posterior_of(model: FlowModel, vector: Array) -> Seen:
  """The Gaussian of conditions [N, K], by one evaluation of the denoiser."""
  prior = model.stddev**-2 * jnp.eye(2)[None]

  def denoise_fn(x: Array, sigma: Array) -> Array:
    return model.denoise_fn(model.params, x, sigma, Condition(vector=vector))

  mean, covariance = moments.mean_and_covariance(
    denoise_fn, num=len(vector), dim=2, sigma_max=_SIGMA_MAX * model.stddev
  )
  precision = gaussian_field.inverse_2x2(covariance) - prior
  # Next to nothing is seen where rounding makes it less than that.
  return Seen(mean, covariance, gaussian_field.nonnegative_2x2(precision))


def noise_between(model: FlowModel, first: Array, warped: Array) -> Array:
  """Noise level of two frames [H, W] that should be the same, a scalar.

  By the median of their differences, which the few pixels that do not match
  leave alone; within what the model knows.
  """
  difference = warped - first
  difference -= jnp.median(difference)
  # Of a normal distribution, and of two frames.
  level = jnp.median(jnp.abs(difference)) / (0.6745 * np.sqrt(2))
  return jnp.clip(level, *model.sensor_noise)


def look(model: FlowModel, first: Array, second: Array) -> Seen:
  """What every pixel alone says of two frames [H, W], row by row.

  The two are swapped too: what is found then is turned round.
  """
  size, width = model.patch_size, first.shape[1]
  margin = size // 2
  noise = jnp.full(width, noise_between(model, first, second))
  padded = [jnp.pad(x, margin, mode='reflect') for x in (first, second)]

  def patches_of(plane: Array, row: Array) -> Array:
    strip = jax.lax.dynamic_slice_in_dim(plane, row, size)
    columns = [strip[:, i : i + width] for i in range(size)]
    return jnp.stack(columns, axis=1).reshape(size**2, width).T

  def look_along(row: Array) -> Seen:
    source, target = (patches_of(plane, row) for plane in padded)
    there, back = (
      posterior_of(model, model.encode_fn(model.params, *pair, noise))
      for pair in ((source, target), (target, source))
    )
    return Seen(
      (there.mean - back.mean) / 2,
      (there.covariance + back.covariance) / 2,
      (there.precision + back.precision) / 2,
    )

  return jax.lax.map(look_along, jnp.arange(first.shape[0]))
