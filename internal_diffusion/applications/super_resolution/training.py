"""Learning super-resolution from an image and its own smaller versions."""

import dataclasses
import functools
import os
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from internal_diffusion import options as options_lib
from internal_diffusion.applications.super_resolution import losses, networks
from internal_diffusion.applications.super_resolution import pairs as pairs_lib
from internal_diffusion.applications.super_resolution.model import (
  LearnedBlocks,
  LearnedResiduals,
  ResidualModel,
  Upscaler,
)
from internal_diffusion.applications.super_resolution.options import (
  BlockDenoiser,
  RegressionOptions,
  UpscaleOptions,
)
from internal_diffusion.applications.super_resolution.planes import (
  mean_plane,
  scale_plane,
)
from internal_diffusion.applications.super_resolution.residuals import (
  EnlargedPlane,
  enlarge_smaller_versions,
  residual_pairs,
  scale_decay,
)
from internal_diffusion.data import blur_kernel, image_io
from internal_diffusion.data.colour_planes import to_planes
from internal_diffusion.denoisers.kernel_regression import KernelRegression
from internal_diffusion.jax_settings import with_own_settings
from internal_diffusion.training import model_files
from internal_diffusion.training.fit import Fitted, Rounds, fit
from internal_diffusion.training.gaussian_mixture import fit_gaussian_mixture
from internal_diffusion.training.options import TrainOptions
from internal_diffusion.training.run_folder import array_digest

Array = jax.Array

_NUM_RESIDUALS = 32768  # Blocks that the residual's mixture is fitted to.
_SMOOTHING = 0.3  # Noise of the fit, in units of the scale.
_DOUBLING = 2  # Factor of the model, unless there is a kernel.


@with_own_settings
def learn_upscaler(
  image: np.ndarray,
  options: UpscaleOptions | None = None,
  *,
  kernel: np.ndarray | None = None,
  workdir: str | os.PathLike | None = None,
  progress: bool = False,
) -> Upscaler:
  """Learns super-resolution from the luminance of an image.

  Pairs come from the image's own smaller versions and, without a kernel, in all
  rounds but the first from its upscaled version too.

  Args:
    image: Image, [H, W, C] float32 in [-1, 1].
    options: Options; None is the default preset at a factor of 2, about a
      minute and a half on two CPU cores.
    kernel: Blur of the degradation, [k, k]; None is antialiased bicubic.
    workdir: Folder of the model. A model in it is returned, so that nothing is
      trained; an interrupted training in it continues. None trains in memory.
    progress: Whether to show progress bars.

  Returns:
    The model. It doubles the size, or with a kernel enlarges by
    `options.factor`.

  Raises:
    ValueError: If the image is too small, an option does not fit, or the folder
      belongs to another image or other options.
    OSError: If the folder cannot be written.
    NonFiniteLossError: If a loss is no longer finite.
    KeyboardInterrupt: If a signal stopped the training; with a `workdir` it is
      saved, and the same call continues.
  """
  options = UpscaleOptions() if options is None else options
  kernel = _checked_kernel(kernel, options.factor)
  if workdir is not None and model_files.has_model(workdir):
    upscaler = model_files.load(workdir, Upscaler)
    if kernel is not None and (
      upscaler.kernel is None or not np.array_equal(kernel, upscaler.kernel)
    ):
      raise ValueError(
        f'`kernel` must be that of the model in `{workdir}`, or left out.'
      )
    if options.mean_only or not upscaler.is_mean_only:
      return upscaler
  image = image_io.check_image(image, with_alpha=True)
  plane = to_planes(image)[0]
  factor = _DOUBLING if kernel is None else round(options.factor)
  make_pairs = functools.partial(
    pairs_lib.build_pairs,
    factor=factor,
    source_size=options.source_size,
    reach=options.reach,
    kernel=kernel,
    seed=options.seed,
  )
  pairs = make_pairs([plane])
  mean = _initial(
    networks.RegressionMLP, options.mean_network, pairs, options.seed
  )
  upscaler = Upscaler(
    blocks=LearnedBlocks(mean),  # Before training, it predicts 0.
    encoding=pairs.encoding,
    residuals=None,
    kernel=kernel,
    factor=factor,
    source_size=options.source_size,
    reach=options.reach,
  )
  runs = _Runs(options, workdir, _identity(image, upscaler), progress)
  is_closed_form = options.denoiser is BlockDenoiser.CLOSED_FORM
  blocks: LearnedBlocks | KernelRegression
  if is_closed_form:
    blocks = _closed_form(pairs, options)
  else:
    blocks = LearnedBlocks(runs.train_mean(plane, pairs, upscaler, make_pairs))
  upscaler = dataclasses.replace(upscaler, blocks=blocks)
  if not options.mean_only:
    # Pairs of the image alone: the upscaled image lacks the detail that samples
    # must have.
    enlarged = enlarge_smaller_versions(upscaler, plane)
    residuals = residual_pairs(upscaler, enlarged, seed=options.seed)
    if is_closed_form:
      model = ResidualModel(
        _closed_form(residuals, options), residuals.encoding.features
      )
    else:
      model = runs.train_samples(upscaler, enlarged, residuals)
    upscaler = dataclasses.replace(upscaler, residuals=model)
    model = dataclasses.replace(model, decay=scale_decay(upscaler, enlarged))
    upscaler = dataclasses.replace(upscaler, residuals=model)
  if workdir is not None:
    model_files.save(workdir, upscaler, options=options)
  return upscaler


def _closed_form(
  pairs: pairs_lib.UpscalingPairs, options: UpscaleOptions
) -> KernelRegression:
  """Kernel regression over a random subset of pairs."""
  features, target = pairs_lib.sample_pairs(
    jax.random.key(options.seed), pairs, num=options.num_pairs
  )
  return KernelRegression(features, target, options.sigma_aug)


def _checked_kernel(
  kernel: np.ndarray | None, factor: float
) -> np.ndarray | None:
  """The kernel in float32, of sum 1."""
  if kernel is None:
    return None
  if factor != round(factor) or factor < 2:
    raise ValueError(
      '`factor` must be a whole number from 2 to 8 with a kernel, got'
      f' {factor:g}.'
    )
  return blur_kernel.check_kernel(kernel).astype(np.float32)


def _identity(image: np.ndarray, upscaler: Upscaler) -> dict[str, Any]:
  """Settings that tell one training's data from another's."""
  kernel = upscaler.kernel
  return {
    'factor': upscaler.factor,
    'source_size': upscaler.source_size,
    'reach': upscaler.reach,
    'image_digest': array_digest(image),
    'kernel_digest': None if kernel is None else array_digest(kernel),
  }


class _Runs(NamedTuple):
  """The trainings of the networks.

  Attributes:
    options: Options of super-resolution.
    workdir: Folder with a folder for each run, or None.
    identity: Settings of the data, the same for all runs.
    progress: Whether to show progress bars.
  """

  options: UpscaleOptions
  workdir: str | os.PathLike | None
  identity: dict[str, Any]
  progress: bool

  def train_mean(
    self,
    plane: np.ndarray,
    pairs: pairs_lib.UpscalingPairs,
    upscaler: Upscaler,
    make_pairs: Callable[..., pairs_lib.UpscalingPairs],
  ) -> networks.Regression:
    """Trains the mean, on pairs of the upscaled plane too in later rounds.

    The finest detail of an upscaled plane is smoother than that of the smaller
    versions that the pairs of the first round come from.
    """
    assert isinstance(upscaler.blocks, LearnedBlocks)
    options, training = self.options, self.options.mean_training
    num_rounds = options.mean_rounds if upscaler.kernel is None else 1
    low = jax.device_put(plane)

    def with_upscaled(high: Array, weight: float) -> pairs_lib.UpscalingPairs:
      return make_pairs(
        [plane, np.asarray(high).clip(-1, 1)],
        encoding=upscaler.encoding,
        weights=[1.0, weight],
      )

    def next_pairs(mean: networks.Regression) -> pairs_lib.UpscalingPairs:
      current = dataclasses.replace(upscaler, blocks=LearnedBlocks(mean))
      return with_upscaled(mean_plane(current, low, num_orientations=1), 1.0)

    rounds = None
    if num_rounds > 1:
      rounds = Rounds(num_rounds, next_pairs)
      # Pairs of the same shapes, of which only the plane's are drawn.
      high = mean_plane(upscaler, low, num_orientations=0)
      pairs = with_upscaled(high, 0.0)
    fitted = fit(
      upscaler.blocks.mean,
      pairs,
      losses.AbsoluteError(training.batch_size),
      training,
      rounds=rounds,
      **self._arguments('mean', training, num_rounds=num_rounds),
    )
    return _finished(fitted)

  def train_samples(
    self,
    upscaler: Upscaler,
    enlarged: list[EnlargedPlane],
    pairs: pairs_lib.UpscalingPairs,
  ) -> ResidualModel:
    """Trains the scale and fits the residual's mixture, given the mean."""
    options, training = self.options, self.options.scale_training
    fitted_scale = fit(
      _initial(networks.ScaleMLP, options.scale_network, pairs, options.seed),
      pairs,
      losses.LaplaceLoss(training.batch_size),
      training,
      **self._arguments('scale', training),
    )
    scale = _finished(fitted_scale)
    features = pairs.encoding.features
    scaled = dataclasses.replace(
      upscaler,
      residuals=ResidualModel(LearnedResiduals(scale), features),
    )
    scales = [scale_plane(scaled, plane.mean) for plane in enlarged]
    pairs = residual_pairs(upscaler, enlarged, scales=scales, seed=options.seed)
    # Where on the mean a residual lies says little beyond its scale: weights of
    # the Gaussians that depend on the mean gained 0.003 nats per dimension.
    _, targets = pairs_lib.sample_pairs(
      jax.random.key(options.seed), pairs, num=_NUM_RESIDUALS
    )
    denoiser = fit_gaussian_mixture(
      jax.random.key(options.seed),
      targets,
      noise_std=_SMOOTHING,
      num_components=options.num_components,
      max_dimensions=targets.shape[1],
    )
    blocks = LearnedResiduals(scale, denoiser)
    return ResidualModel(blocks, features)

  def _arguments(
    self, name: str, options: TrainOptions, **settings: Any
  ) -> dict[str, Any]:
    """Arguments of `fit` for the run of a name."""
    folder = self.workdir
    return {
      'run_dir': None if folder is None else pathlib.Path(folder) / name,
      'settings': options_lib.to_dict(options) | self.identity | settings,
      'progress': self.progress,
    }


def _initial(
  kind: type[networks.RegressionMLP],
  network: RegressionOptions,
  pairs: pairs_lib.UpscalingPairs,
  seed: int,
) -> networks.Regression:
  num_features, block_dim = pairs.encoding.linear.shape
  return networks.init_regression(
    jax.random.key(seed),
    kind(block_dim, network.width, network.depth),
    num_features=num_features,
  )


def _finished(fitted: Fitted) -> Any:
  """The model of a run that reached its end."""
  if fitted.interrupted:
    raise KeyboardInterrupt(
      'The training was stopped and saved; the same command continues it.'
    )
  return fitted.model
