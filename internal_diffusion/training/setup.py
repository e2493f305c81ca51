"""From a configuration and its examples to a run: network, loss, optimiser."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax

from internal_diffusion import arrays
from internal_diffusion.data import distributions, principal_basis
from internal_diffusion.data.distributions import Layout, Part
from internal_diffusion.data.principal_basis import PrincipalBasis
from internal_diffusion.denoisers.learned import LearnedParams
from internal_diffusion.denoisers.score_mlp import ScoreMLP
from internal_diffusion.training import model, objective, parallel
from internal_diffusion.training import step as step_lib
from internal_diffusion.training.calls import Task
from internal_diffusion.training.examples import Examples
from internal_diffusion.training.state import TrainState, create_train_state
from internal_diffusion.types import Condition, ParametricDenoiseFn

Array = jax.Array
# Draws that the principal bases are fitted to.
_BASIS_DRAWS = 2**16


@dataclasses.dataclass(frozen=True)
class Run(Task):
  """The parts of a denoiser's training run.

  Attributes:
    layout: What is generated and told.
    denoise_fn: The denoiser of principal coordinates.
    batch_loss_fn: The loss of given examples of a batch.
    state_shapes: Shapes and types of the state.
  """

  layout: Layout
  denoise_fn: ParametricDenoiseFn
  batch_loss_fn: step_lib.BatchLossFn
  state_shapes: TrainState


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


def make_train_step(
  batch_loss_fn: step_lib.BatchLossFn,
  optimizer: optax.GradientTransformation,
  config: ml_collections.ConfigDict,
) -> step_lib.TrainStep:
  """The step of a configuration, averaged over all devices.

  Args:
    batch_loss_fn: The loss of given examples of a batch.
    optimizer: Of `make_optimizer`.
    config: `optimizer` and `ema_decay` as in configs/default.py.

  Raises:
    ValueError: If a field is not usable.
  """
  return step_lib.make_train_step(
    batch_loss_fn,
    optimizer,
    peak_learning_rate=config.optimizer.learning_rate,
    warmup_steps=config.optimizer.warmup_steps,
    ema_decay=config.ema_decay,
    axis_name=parallel.DEVICE_AXIS,
  )


def state_shapes(
  network: ScoreMLP, layout: Layout, config: ml_collections.ConfigDict
) -> TrainState:
  """Shapes and types of a run's state, nothing computed."""

  def basis_of(sizes: tuple[int, ...], num_groups: int = 1) -> PrincipalBasis:
    dim = sum(sizes)
    shapes = ((dim,), (dim, dim), (num_groups, dim))
    return PrincipalBasis(*map(jnp.zeros, shapes))

  def make_state() -> TrainState:
    params = LearnedParams(
      model.init_network(jax.random.key(0), network, layout, config),
      basis_of(layout.x0_sizes, max(layout.num_levels, 1)),
      basis_of(layout.given_sizes) if layout.given else None,
    )
    return create_train_state(jax.random.key(0), params, make_optimizer(config))

  return jax.eval_shape(make_state)


def fit_basis(
  vectors: Array,
  parts: tuple[Part, ...],
  *,
  groups: Array | None = None,
  num_groups: int = 1,
) -> PrincipalBasis:
  """A basis for each part of vectors [N, D]; coordinates keep their axes."""
  by_name = distributions.split(vectors, parts)
  bases = []
  for part in parts:
    fit = (
      principal_basis.fit_axis_basis
      if part.is_coordinates
      else principal_basis.fit_principal_basis
    )
    bases.append(fit(by_name[part.name], groups=groups, num_groups=num_groups))
  return principal_basis.join_bases(bases)


def make_run(examples: Examples, config: ml_collections.ConfigDict) -> Run:
  """Checks a configuration and makes the parts of its run.

  Args:
    examples: What it draws from.
    config: As in configs/default.py.

  Raises:
    ValueError: If a field is not usable, before anything is compiled.
  """
  arrays.check_positive_int('batch_size', config.batch_size)
  arrays.check_in_range('seed', config.seed, 0, 2**63 - 1)
  if config.num_references and config.num_references < config.batch_size:
    raise ValueError(
      '`num_references` must be 0 or at least `batch_size`'
      f' {config.batch_size}, got {config.num_references}.'
    )
  layout = examples.layout
  network = model.make_network(config, layout)
  denoise_fn = model.make_denoise_fn(network, layout, config)
  optimizer = make_optimizer(config)
  network_key, basis_key, run_key = jax.random.split(
    jax.random.key(config.seed), 3
  )
  prepare_fn = objective.make_prepare_fn(examples, config)

  @jax.jit
  def draw(key: Array, data: Any) -> tuple[Array, Condition]:
    draw_key, prepare_key = jax.random.split(key)
    x0, cond = examples.draw_fn(draw_key, data, _BASIS_DRAWS)
    # As the network sees it, its noise included.
    return x0, prepare_fn(prepare_key, cond)

  def initial_state() -> TrainState:
    x0, shown = draw(basis_key, examples.data)
    basis = fit_basis(
      x0,
      layout.x0,
      groups=shown.level,
      num_groups=max(layout.num_levels, 1),
    )
    cond_basis = None
    if shown.vector is not None:
      cond_basis = fit_basis(shown.vector, layout.given)
    params = model.init_network(network_key, network, layout, config)
    return create_train_state(
      run_key, LearnedParams(params, basis, cond_basis), optimizer
    )

  batch_loss_fn = objective.make_batch_loss_fn(examples, denoise_fn, config)
  return Run(
    data=examples.data,
    layout=layout,
    denoise_fn=denoise_fn,
    batch_loss_fn=batch_loss_fn,
    train_step=make_train_step(batch_loss_fn, optimizer, config),
    state_shapes=state_shapes(network, layout, config),
    initial_state=initial_state,
  )
