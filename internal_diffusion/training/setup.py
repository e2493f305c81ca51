"""From a configuration to a run: data, network, loss, optimiser."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax

from internal_diffusion import arrays
from internal_diffusion.data import image_io, patches, principal_basis
from internal_diffusion.data import pyramid as pyramid_lib
from internal_diffusion.data.principal_basis import PrincipalBasis
from internal_diffusion.denoisers import closed_form, learned
from internal_diffusion.denoisers.score_mlp import ScoreMLP
from internal_diffusion.diffusion import losses
from internal_diffusion.training import model, parallel
from internal_diffusion.training import step as step_lib
from internal_diffusion.training.state import TrainState, create_train_state
from internal_diffusion.types import Condition, Params

Array = jax.Array
# Draws that the principal basis is fitted to.
_BASIS_DRAWS = 2**16


class PatchData(NamedTuple):
  """What a training step draws from, on the device.

  Attributes:
    pyramid: The photograph's pyramid.
    level_probabilities: How often each level is drawn, [L].
  """

  pyramid: pyramid_lib.Pyramid
  level_probabilities: Array


@dataclasses.dataclass(frozen=True)
class Run:
  """The parts of a training run.

  Attributes:
    data: What training draws from.
    network: The score network.
    batch_loss_fn: The loss of given examples of a batch.
    optimizer: With learning rate 1; the step multiplies by its own.
    state_shapes: Shapes and types of the state.
    initial_state: Makes the state before the first step.
  """

  data: PatchData
  network: ScoreMLP
  batch_loss_fn: step_lib.BatchLossFn
  optimizer: optax.GradientTransformation
  state_shapes: TrainState
  initial_state: Callable[[], TrainState]


def level_sizes(
  height: int, width: int, config: ml_collections.ConfigDict
) -> list[tuple[int, int]]:
  """(height, width) of each pyramid level; a small image has one level."""
  return pyramid_lib.pyramid_sizes(
    height,
    width,
    scale_factor=config.pyramid.scale_factor,
    min_side=min(config.pyramid.min_side, height, width),
  )


def make_data(
  image: np.ndarray, config: ml_collections.ConfigDict
) -> PatchData:
  """The pyramid of an image on the device, and its level probabilities."""
  image = image_io.check_image(image)
  if image.max() - image.min() < 1e-6:
    raise ValueError(
      'The image is constant, so there is nothing to learn from it; give one'
      ' with some contrast.'
    )
  height, width = image.shape[:2]
  patches.check_patch_size(
    config.patch_size, smallest_side=min(height, width), where='image'
  )
  sizes = level_sizes(height, width, config)
  probabilities = patches.level_probabilities(
    sizes,
    patch_size=config.patch_size,
    power=config.pyramid.level_power,
  )
  levels = pyramid_lib.build_levels(jnp.asarray(image), sizes)
  return PatchData(pyramid_lib.stack_pyramid(levels), probabilities)


def make_sigma_fn(
  config: ml_collections.ConfigDict,
) -> Callable[[Array], Array]:
  """Quantile function of the noise level: uniform [B] to sigma [B]."""
  noise = config.noise
  if not 0 < noise.sigma_min < noise.sigma_max:
    raise ValueError(
      '0 < `noise.sigma_min` < `noise.sigma_max` must hold, got'
      f' {noise.sigma_min} and {noise.sigma_max}.'
    )
  match noise.draw:
    case 'lognormal':
      arrays.check_in_range(
        'noise.log_std', noise.log_std, 0, float('inf'), open_low=True
      )
      return lambda uniform: losses.lognormal_sigma(
        uniform, mean=noise.log_mean, std=noise.log_std
      )
    case 'loguniform':
      return lambda uniform: losses.loguniform_sigma(
        uniform, sigma_min=noise.sigma_min, sigma_max=noise.sigma_max
      )
    case other:
      raise ValueError(
        f"`noise.draw` must be 'lognormal' or 'loguniform', got {other!r}."
      )


def make_optimizer(
  config: ml_collections.ConfigDict,
) -> optax.GradientTransformation:
  """The optimiser of a configuration, at learning rate 1."""
  options = config.optimizer
  arrays.check_in_range('optimizer.clip_norm', options.clip_norm, 0, np.inf)
  match options.name:
    case 'adam':
      optimizer = optax.adam(1.0, b2=0.99)
    case 'adamw':
      optimizer = optax.adamw(1.0, b2=0.99, weight_decay=options.weight_decay)
    case 'muon':
      optimizer = optax.contrib.muon(1.0, weight_decay=options.weight_decay)
    case 'sgd':
      optimizer = optax.sgd(1.0, momentum=0.9)
    case other:
      raise ValueError(
        "`optimizer.name` must be 'adam', 'adamw', 'muon' or 'sgd', got"
        f' {other!r}.'
      )
  if not options.clip_norm:
    return optimizer
  return optax.chain(optax.clip_by_global_norm(options.clip_norm), optimizer)


def state_shapes(
  network: ScoreMLP, config: ml_collections.ConfigDict
) -> TrainState:
  """Shapes and types of the run's state, nothing computed."""

  def make_state() -> TrainState:
    dim = network.output_dim // 2
    basis = PrincipalBasis(
      mean=jnp.zeros(dim),
      components=jnp.zeros((dim, dim)),
      stddev=jnp.zeros(dim),
    )
    params = model.init_network(jax.random.key(0), network)
    optimizer = make_optimizer(config)
    return create_train_state(jax.random.key(0), params, basis, optimizer)

  return jax.eval_shape(make_state)


def make_batch_loss_fn(
  network: ScoreMLP, config: ml_collections.ConfigDict
) -> step_lib.BatchLossFn:
  """Draws patches and noise on the device and returns their losses."""
  denoise_fn = model.make_denoise_fn(network, config)
  sigma_fn = make_sigma_fn(config)

  def batch_loss_fn(
    params: Params,
    basis: PrincipalBasis,
    data: PatchData,
    key: Array,
    index: Array,
  ) -> Array:
    data_key, sigma_key, noise_key = jax.random.split(key, 3)
    # Every device draws all clean patches, which costs little, and takes its
    # share of the batch. The rest are references for the targets.
    vectors, level = patches.sample_patches(
      data_key, *data, num=config.num_references, patch_size=config.patch_size
    )
    references = principal_basis.to_principal(basis, vectors)

    def posterior_mean(z: Array, sigma: Array) -> Array:
      same_level = level[index][:, None] == level[None]
      return closed_form.posterior_mean(
        z, sigma, references, allowed=same_level
      )

    sigma = sigma_fn(
      losses.stratified_uniform(sigma_key, index, config.batch_size)
    )
    noise_keys = jax.vmap(lambda i: jax.random.fold_in(noise_key, i))(index)
    return losses.denoising_loss(
      noise_keys,
      lambda z, sigma, cond: denoise_fn(
        learned.LearnedParams(params, basis), z, sigma, cond
      ),
      references[index],
      Condition(level=level[index]),
      sigma,
      losses.wiener_weight(sigma, basis.stddev[None]),
      target_fn=posterior_mean,
    )

  return batch_loss_fn


def make_train_step(
  run: Run, config: ml_collections.ConfigDict
) -> step_lib.TrainStep:
  """The step of a configuration, averaged over `parallel.DEVICE_AXIS`."""
  return step_lib.make_train_step(
    run.batch_loss_fn,
    run.optimizer,
    peak_learning_rate=config.optimizer.learning_rate,
    warmup_steps=config.optimizer.warmup_steps,
    ema_decay=config.ema_decay,
    axis_name=parallel.DEVICE_AXIS,
  )


def make_run(image: np.ndarray, config: ml_collections.ConfigDict) -> Run:
  """Checks a configuration against an image and makes the parts of its run.

  Args:
    image: [H, W, C] float32 in [-1, 1].
    config: As in configs/default.py.

  Raises:
    ValueError: If the image or a field is not usable, before anything is
      compiled.
  """
  arrays.check_positive_int('batch_size', config.batch_size)
  arrays.check_in_range('seed', config.seed, 0, 2**63 - 1)
  if config.num_references < config.batch_size:
    raise ValueError(
      f'`num_references` must be at least `batch_size` {config.batch_size}, got'
      f' {config.num_references}.'
    )
  data = make_data(image, config)
  num_levels = data.pyramid.num_levels
  network = model.make_network(
    config, num_levels=num_levels, num_channels=image.shape[-1]
  )
  optimizer = make_optimizer(config)
  network_key, basis_key, run_key = jax.random.split(
    jax.random.key(config.seed), 3
  )

  def initial_state() -> TrainState:
    draw = jax.jit(
      lambda key: patches.sample_patches(
        key, *data, num=_BASIS_DRAWS, patch_size=config.patch_size
      )
    )
    vectors, _ = draw(basis_key)
    basis = principal_basis.fit_principal_basis(vectors)
    params = model.init_network(network_key, network)
    return create_train_state(run_key, params, basis, optimizer)

  return Run(
    data=data,
    network=network,
    batch_loss_fn=make_batch_loss_fn(network, config),
    optimizer=optimizer,
    state_shapes=state_shapes(network, config),
    initial_state=initial_state,
  )
