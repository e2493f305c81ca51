"""Learning a model of displacements from a frame moved along known fields.

Two losses of the same pairs: the negative log-likelihood of the encoder's
Gaussian, and the denoising loss of the head.
"""

import dataclasses
import functools
import os
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion import options as options_lib
from internal_diffusion.applications.flow import (
  block_matching,
  displacement,
  features,
)
from internal_diffusion.applications.flow.frames import make_frame_pyramid
from internal_diffusion.applications.flow.model import FlowModel
from internal_diffusion.applications.flow.options import (
  DisplacementDenoiser,
  FlowOptions,
)
from internal_diffusion.applications.flow.pairs import (
  FlowPairs,
  PairDraw,
  build_pairs,
)
from internal_diffusion.diffusion import losses
from internal_diffusion.jax_settings import with_own_settings
from internal_diffusion.training import model_files
from internal_diffusion.training.fit import fit
from internal_diffusion.training.run_folder import array_digest
from internal_diffusion.training.state import TrainState
from internal_diffusion.types import Params

Array = jax.Array
_NUM_FITTED = 16384  # Number of pairs that the encoding is fitted to.
_NOISE_RANGE = (0.01, 20.0)  # Noise levels of displacements, in pixels.
_DENOISING_WEIGHT = 0.2
_BLOCK_NOISE = (0.02, 0.1)  # Noise levels of frames in block matching.
_BLOCK_STEPS = 4  # Displacements per pixel in block matching.


@dataclasses.dataclass(frozen=True)
class DisplacementLoss:
  """Negative log-likelihood plus the weighted denoising loss.

  Attributes:
    draw: Draw of the pairs.
    batch_size: Number of pairs in a step.
  """

  draw: PairDraw
  batch_size: int

  def __call__(
    self,
    key: Array,
    state: TrainState,
    data: FlowPairs,
    progress: Array,
    index: Array,
  ) -> Array:
    """Losses of the pairs `index` [b] of a batch, [b]; see `step.Loss`."""
    del progress
    model: displacement.LearnedDisplacement = state.model
    draw_key, sigma_key, noise_key = jax.random.split(key, 3)
    source, target, delta, sigma_aug = (
      values[index] for values in self.draw(draw_key, data, self.batch_size)
    )
    vector = model.encode(source, target, sigma_aug)
    sigma = losses.loguniform_sigma(
      losses.stratified_uniform(sigma_key, index, self.batch_size),
      sigma_min=_NOISE_RANGE[0],
      sigma_max=_NOISE_RANGE[1],
    )
    noise = jax.random.normal(noise_key, (self.batch_size, 2))[index]
    x = delta + sigma[:, None] * noise
    error = model.weighted_error(delta, x, sigma, vector)
    likelihood = displacement.negative_log_likelihood(vector, delta)
    return likelihood + _DENOISING_WEIGHT * error


@with_own_settings
def learn_flow(
  images: Sequence[np.ndarray],
  options: FlowOptions | None = None,
  *,
  workdir: str | os.PathLike | None = None,
  progress: bool = False,
) -> FlowModel:
  """Learns a model of displacements from one frame, or from several.

  Args:
    images: Frames, [H, W, C] each, float32 in [-1, 1].
    options: Options of the model and its training; None is the defaults, one
      minute.
    workdir: Folder of the model. A trained model in it is returned, and nothing
      is trained; an unfinished run in it continues; else the new model is saved
      to it. None trains in memory.
    progress: Whether to show a progress bar.

  Returns:
    The model, for any frames of similar content.

  Raises:
    ValueError: If a frame is too small, or the folder belongs to another run or
      another kind of model.
    OSError: If the folder cannot be written.
    NonFiniteLossError: If the loss is no longer finite.
    KeyboardInterrupt: If a signal stops a run in a folder; the same call
      continues it.
  """
  options = FlowOptions() if options is None else options
  if workdir is not None and model_files.has_model(workdir):
    return _load(workdir, options)
  if options.denoiser == DisplacementDenoiser.CLOSED_FORM:
    blocks = block_matching.make_block_matching(
      block_size=options.block_size,
      reach=options.block_reach,
      steps_per_pixel=_BLOCK_STEPS,
    )
    size = block_matching.patch_size_of(options.block_size, options.block_reach)
    model = FlowModel(blocks, size, blocks.stddev, _BLOCK_NOISE)
  else:
    model = _train(images, options, workdir, progress=progress)
  if workdir is not None:
    model_files.save(workdir, model, options=options)
  return model


def _load(workdir: str | os.PathLike, options: FlowOptions) -> FlowModel:
  model: FlowModel = model_files.load(workdir, FlowModel)
  found = list(DisplacementDenoiser)[
    isinstance(model.denoiser, block_matching.BlockMatching)
  ]
  if found != options.denoiser:
    raise ValueError(
      f'`denoiser` is {options.denoiser.value}, but the model in `{workdir}` is'
      f' {found.value}; give another folder or that denoiser.'
    )
  return model


def _train(
  images: Sequence[np.ndarray],
  options: FlowOptions,
  workdir: str | os.PathLike | None,
  *,
  progress: bool,
) -> FlowModel:
  pyramids = [make_frame_pyramid(image, options).grey for image in images]
  pairs = build_pairs(
    [np.asarray(level) for levels in pyramids for level in levels],
    num_fields=options.num_fields,
    stddev=options.stddev,
    seed=options.seed,
  )
  draw = PairDraw(options.patch_size, options.sensor_noise)
  loss = DisplacementLoss(draw, options.batch_size)
  # All that a run depends on.
  names = ('smoothing', 'min_side', 'num_fields', 'stddev', 'width', 'depth')
  settings = {
    **options_lib.to_dict(options.train),
    **{name: getattr(options, name) for name in names},
    'loss': dataclasses.asdict(loss),
    'frames_digest': [array_digest(image) for image in images],
  }
  fitted = fit(
    _initial_denoiser(pairs, draw, options),
    pairs,
    loss,
    options.train,
    run_dir=workdir,
    settings=settings,
    progress=progress,
  )
  if fitted.interrupted:
    raise KeyboardInterrupt
  return FlowModel(
    fitted.model, options.patch_size, options.stddev, options.sensor_noise
  )


def _initial_denoiser(
  pairs: FlowPairs, draw: PairDraw, options: FlowOptions
) -> displacement.LearnedDisplacement:
  """The denoiser before training, its encoding fitted to the pairs."""
  key = jax.random.key(options.seed)
  source, target, _, _ = _draw(draw, key, pairs, _NUM_FITTED)
  encoding = features.fit_encoding(source, target, stddev=options.stddev)
  network = displacement.DisplacementMLP(options.width, options.depth)
  params = _init_network(key, encoding, network=network)
  return displacement.LearnedDisplacement(params, encoding, network)


_draw = jax.jit(PairDraw.__call__, static_argnums=(0, 3))


@functools.partial(jax.jit, static_argnames='network')
def _init_network(
  key: Array,
  encoding: features.PairEncoding,
  *,
  network: displacement.DisplacementMLP,
) -> Params:
  patch = jnp.zeros((1, encoding.average.shape[0]))
  return network.init(
    key, features.pair_features(encoding, patch, patch, jnp.ones(1))[0]
  )
