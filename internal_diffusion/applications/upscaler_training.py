"""Learning super-resolution from an image and its own downscaled versions."""

from collections.abc import Sequence

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
from internal_diffusion.applications.upscaler_examples import (
  in_deviations,
  rest_examples,
  target_examples,
)
from internal_diffusion.data import image_io, upscaling_pairs
from internal_diffusion.data.colour_planes import to_planes
from internal_diffusion.data.upscaling_pairs import (
  SourceEncoding,
  UpscalingPairs,
)
from internal_diffusion.denoisers import learned
from internal_diffusion.denoisers.kernel_regression import (
  KernelDeviation,
  KernelPairs,
  KernelRegression,
)
from internal_diffusion.denoisers.learned import LearnedParams
from internal_diffusion.training import regression, setup
from internal_diffusion.training.deviation import DeviationMLP, laplace_loss
from internal_diffusion.training.examples import Examples
from internal_diffusion.training.fit import fit, fit_task
from internal_diffusion.types import Params

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
  _check_factor(factor, kernel)
  plane = _luminance(image)
  pairs = _pairs([plane], config, factor, kernel)
  block_dim = pairs.target.shape[-1]
  network = regression.RegressionMLP(block_dim, *_size(config.mean))
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
  deviation = DeviationMLP(block_dim, *_size(config.deviation))
  targets = target_examples(pairs)
  if has_rest:  # What is wrong with it is said before the mean is trained.
    setup.make_run(targets, config.rest)
    regression.make_task(targets, deviation, config.deviation)
  upscaler = upscaler._replace(
    params=_train_mean(upscaler, plane, pairs, config, progress=progress)
  )
  if not has_rest:
    return upscaler
  # Not from the own result, which lacks the detail that the rest is to have.
  examples = rest_examples(targets, network, upscaler.params)
  rest = _train_rest(examples, deviation, config, progress=progress)
  return upscaler._replace(rest=rest)


def _size(config: ml_collections.ConfigDict) -> tuple[int, int]:
  """Width and depth of a network."""
  return config.network.width, config.network.depth


def _train_mean(
  upscaler: Upscaler,
  plane: np.ndarray,
  pairs: UpscalingPairs,
  config: ml_collections.ConfigDict,
  *,
  progress: bool,
) -> Params:
  """Parameters of the mean's network, learnt from pairs and the own result."""
  assert isinstance(upscaler.network, regression.RegressionMLP)
  num_rounds = config.num_rounds if upscaler.kernel is None else 1

  def with_own(larger: Array, weight: float) -> UpscalingPairs:
    return _pairs(
      [plane, np.asarray(larger).clip(-1, 1)],
      config,
      upscaler.factor,
      upscaler.kernel,
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
    return with_own(larger, 1.0)

  if num_rounds > 1:  # Of the same size already, though not drawn from.
    pairs = with_own(upscale_smooth_plane(upscaler, jnp.asarray(plane)), 0.0)
  task = regression.make_task(
    target_examples(pairs), upscaler.network, config.mean
  )
  learnt = fit_task(task, config.mean, refresh_fn=refresh, progress=progress)
  return learnt.network


def _train_rest(
  examples: Examples,
  deviation: DeviationMLP,
  config: ml_collections.ConfigDict,
  *,
  progress: bool,
) -> RestModel:
  """The model of what the mean leaves, learnt from examples of that."""
  task = regression.make_task(
    examples, deviation, config.deviation, loss_fn=laplace_loss
  )
  unit = fit_task(task, config.deviation, progress=progress).network
  examples = in_deviations(examples, deviation, unit)
  model = fit(examples, config.rest, progress=progress)
  denoise_fn = learned.to_pixel_space(model.principal_denoise_fn)
  return RestModel(deviation, unit, denoise_fn, model.params)


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
    rest=RestModel(
      KernelDeviation(options.sigma_aug), table, network.denoise_rest, table
    ),
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
