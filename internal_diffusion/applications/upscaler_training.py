"""Learning super-resolution from an image and its own downscaled versions."""

from collections.abc import Sequence
from typing import cast

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from internal_diffusion import arrays
from internal_diffusion.applications.upscaler import (
  RestModel,
  Upscaler,
  upscale_plane,
  upscale_smooth_plane,
)
from internal_diffusion.data import image_io, upscaling_pairs
from internal_diffusion.data.colour_planes import to_planes
from internal_diffusion.data.distributions import Layout, Part
from internal_diffusion.data.upscaling_pairs import (
  SourceEncoding,
  UpscalingPairs,
)
from internal_diffusion.denoisers import learned
from internal_diffusion.denoisers.kernel_regression import (
  KernelPairs,
  KernelRegression,
)
from internal_diffusion.denoisers.learned import LearnedParams
from internal_diffusion.training import regression, setup
from internal_diffusion.training.examples import Examples
from internal_diffusion.training.fit import fit, fit_task
from internal_diffusion.types import Condition, Params

Array = jax.Array

_DOUBLING = 2  # The factor of the network, unless there is a kernel.


def train_upscaler(
  image: np.ndarray,
  config: ml_collections.ConfigDict,
  *,
  kernel: np.ndarray | None = None,
  factor: int = _DOUBLING,
  progress: bool = False,
) -> Upscaler:
  """Learns from an image's luminance and its own downscaled versions.

  Without a kernel, it learns from its own result too, made anew in all
  `config.num_rounds` rounds but the first.

  Args:
    image: [H, W, C] float32 in [-1, 1].
    config: As in configs/upscale.py.
    kernel: Blur of the degradation, [k, k]; None is antialiased bicubic.
    factor: Of the pairs, a whole number; 2 unless there is a kernel.
    progress: Whether to show progress bars.

  Raises:
    ValueError: If the image is too small, or an option is not usable.
  """
  arrays.check_positive_int('num_rounds', config.num_rounds)
  num_rounds = config.num_rounds if kernel is None else 1
  _check_factor(factor, kernel)
  plane = _luminance(image)
  pairs = _pairs([plane], config, factor, kernel)
  network = regression.make_network(pairs, config.mean)
  upscaler = Upscaler(
    factor=factor,
    source_size=config.source_size,
    reach=config.reach,
    encoding=pairs.encoding,
    network=network,
    params=None,
    rest=None,
    kernel=kernel,
  )
  has_rest = config.rest.num_steps or config.rest.max_minutes
  if has_rest:  # What is wrong with it is said before the mean is trained.
    setup.make_run(rest_examples(pairs, network, {}), config.rest)

  def with_own(larger: Array, weight: float) -> UpscalingPairs:
    planes = [plane, np.asarray(larger).clip(-1, 1)]
    return _pairs(
      planes,
      config,
      factor,
      kernel,
      encoding=pairs.encoding,
      weights=[1.0, weight],
    )

  current = 0

  def refresh(share: float, params: LearnedParams) -> UpscalingPairs | None:
    nonlocal current
    before, current = current, int(share * num_rounds)
    if current == before:
      return None
    latest = upscaler._replace(params=params.network)
    larger = upscale_plane(latest, jnp.asarray(plane), num_orientations=1)
    return with_own(larger.mean, 1.0)

  first = pairs
  if num_rounds > 1:  # Of the same size already, though not drawn from.
    first = with_own(upscale_smooth_plane(upscaler, jnp.asarray(plane)), 0.0)
  task = regression.make_task(first, config.mean)
  learnt = fit_task(task, config.mean, refresh_fn=refresh, progress=progress)
  upscaler = upscaler._replace(params=learnt.network)
  if not has_rest:
    return upscaler
  # Not from the own result, which lacks the detail that the rest is to have.
  examples = rest_examples(pairs, network, upscaler.params)
  model = fit(examples, config.rest, progress=progress)
  denoise_fn = learned.to_pixel_space(model.principal_denoise_fn)
  return upscaler._replace(rest=RestModel(denoise_fn, model.params))


def closed_form_upscaler(
  image: np.ndarray,
  config: ml_collections.ConfigDict,
  *,
  kernel: np.ndarray | None = None,
  factor: int = _DOUBLING,
) -> Upscaler:
  """The same without training: kernel regression over the pairs.

  Args:
    image: [H, W, C] float32 in [-1, 1].
    config: As in configs/upscale.py.
    kernel: As in `train_upscaler`.
    factor: As in `train_upscaler`.

  Raises:
    ValueError: If the image is too small, or an option is not usable.
  """
  _check_factor(factor, kernel)
  options = config.closed_form
  pairs = _pairs([_luminance(image)], config, factor, kernel)
  features, target = upscaling_pairs.sample_pairs(
    jax.random.key(config.mean.seed), pairs, num=options.num_pairs
  )
  table = KernelPairs(features, target)
  network = KernelRegression(options.sigma_aug)
  return Upscaler(
    factor=factor,
    source_size=config.source_size,
    reach=config.reach,
    encoding=pairs.encoding,
    network=network,
    params=table,
    rest=RestModel(network.denoise_rest, table),
    kernel=kernel,
  )


def _luminance(image: np.ndarray) -> np.ndarray:
  return to_planes(image_io.check_image(image, with_alpha=True))[0]


def _check_factor(factor: int, kernel: np.ndarray | None) -> None:
  if kernel is None and factor != _DOUBLING:
    raise ValueError(
      f'`factor` must be {_DOUBLING} without a kernel, got {factor}.'
    )


def _pairs(
  planes: Sequence[np.ndarray],
  config: ml_collections.ConfigDict,
  factor: int,
  kernel: np.ndarray | None,
  *,
  encoding: SourceEncoding | None = None,
  weights: Sequence[float] | None = None,
) -> UpscalingPairs:
  return upscaling_pairs.build_pairs(
    planes,
    factor=factor,
    source_size=config.source_size,
    reach=config.reach,
    kernel=kernel,
    encoding=encoding,
    weights=weights,
    seed=config.mean.seed,
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
    predicted = cast(Array, network.apply(params, features))
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
