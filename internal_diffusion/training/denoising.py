"""The training of a learned denoiser: its loss, its initial value, its run.

The target of the regression is the posterior mean over the batch (Xu et al.
2023). Given the clean examples of a batch, the noisy x and the noisy condition
c', example j was the clean one with probability

  w_j ~ exp(-|x - x0_j|^2 / (2 sigma^2) - |c' - c_j|^2 / (2 sigma_aug^2)),

so sum_j w_j x0_j has the same expectation as x0 itself, and less variance. A
condition without noise leaves only the examples that share it: more than one
exactly where the answer is ambiguous.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp

from internal_diffusion import arrays
from internal_diffusion.data import distributions, principal_basis
from internal_diffusion.data.distributions import Layout, Part
from internal_diffusion.data.principal_basis import PrincipalBasis
from internal_diffusion.denoisers import closed_form, mixture_base
from internal_diffusion.denoisers.learned import LearnedDenoiser, network_dims
from internal_diffusion.denoisers.mixture_base import MixtureBase
from internal_diffusion.denoisers.score_mlp import ScoreMLP
from internal_diffusion.diffusion import conditioning, losses
from internal_diffusion.training.examples import Draw, Examples
from internal_diffusion.training.fit import Fitted, fit
from internal_diffusion.training.gaussian_mixture import fit_gaussian_mixture
from internal_diffusion.training.options import (
  ConditionOptions,
  DenoiserOptions,
  NoiseDraw,
  NoiseOptions,
)
from internal_diffusion.training.state import TrainState
from internal_diffusion.types import Condition, Params

Array = jax.Array
# Conditions without noise are equal if their root mean squared difference is
# below this: an eighth of a grey level of an 8-bit image, far above rounding.
_EQUAL_RMS = 1e-3
_BASIS_DRAWS = 2**16  # Examples that the principal bases are fitted to.
_BASE_DRAWS, _BASE_STEPS = 2**14, 8  # And the mixture, by steps of EM.


def draw_sigma(uniform: Array, options: NoiseOptions) -> Array:
  """Noise levels [B] as quantiles of uniform numbers [B]."""
  match options.draw:
    case NoiseDraw.LOGNORMAL:
      return losses.lognormal_sigma(
        uniform, mean=options.log_mean, std=options.log_std
      )
    case NoiseDraw.LOGUNIFORM:
      return losses.loguniform_sigma(
        uniform, sigma_min=options.sigma_min, sigma_max=options.sigma_max
      )
    case NoiseDraw.LADDER:
      return losses.ladder_sigma(
        uniform,
        sigma_min=options.sigma_min,
        sigma_max=options.sigma_max,
        num_levels=options.num_levels,
      )


def augment(
  key: Array,
  cond: Condition,
  options: ConditionOptions,
  *,
  queries: tuple[tuple[bool, ...], ...] = (),
) -> Condition:
  """Conditions as the network receives them in training: noisy, incomplete.

  The clean and complete conditions have a key each, [B], or one for all. One of
  the masks `queries` of given parts is drawn for each, if there are any.
  """
  if cond.vector is None:
    return cond
  noise_key, drop_key = (arrays.fold_in(key, i) for i in range(2))
  if options.sigma_aug_max > 0:
    cond = conditioning.drawn_sigma_aug(
      noise_key,
      cond,
      sigma_min=options.sigma_aug,
      sigma_max=options.sigma_aug_max,
    )
  elif options.sigma_aug:
    cond = conditioning.augment_condition(
      noise_key, cond, sigma_aug=options.sigma_aug
    )
  if queries:
    masks = jnp.array(queries, bool)
    return conditioning.give_parts(drop_key, cond, masks=masks)
  if options.dropout:
    return conditioning.drop_condition(drop_key, cond, rate=options.dropout)
  return cond


def log_condition_prior(
  shown: Condition, clean: Condition, shape: tuple[int, int], sigma_aug: float
) -> Array:
  """Log weights of a batch's examples, by their conditions alone.

  Args:
    shown: Conditions that the network receives, [B].
    clean: Conditions of all examples, [N].
    shape: (B, N), the shape of the result.
    sigma_aug: Noise level of the conditions where they have none of their own.
  """
  log_prior = jnp.zeros(shape)
  if clean.level is not None and shown.level is not None:
    same_level = shown.level[:, None] == clean.level[None]
    log_prior = jnp.where(same_level, log_prior, -jnp.inf)
  if shown.vector is None or clean.vector is None:
    return log_prior
  sigma = shown.sigma_aug
  if sigma is None:
    sigma = jnp.full(shape[0], sigma_aug or _EQUAL_RMS)
  by_vector = closed_form.log_kernel(shown.vector, sigma, clean.vector)
  if not sigma_aug:
    mean_square = 2 * _EQUAL_RMS**2 / shown.vector.shape[-1]
    by_vector -= jnp.max(by_vector, axis=-1, keepdims=True)
    is_same = -mean_square * by_vector < _EQUAL_RMS**2
    by_vector = jnp.where(is_same, 0.0, -jnp.inf)
  if shown.given is None:
    return log_prior + by_vector
  # A condition given in part counts as a complete one: that only narrows the
  # choice, and its own example always remains.
  is_given = jnp.any(shown.given, axis=-1, keepdims=True)
  return log_prior + jnp.where(is_given, by_vector, 0.0)


@dataclasses.dataclass(frozen=True)
class DenoisingLoss:
  """Weighted denoising loss of a `LearnedDenoiser`, in principal coordinates.

  Attributes:
    draw: Draw of the examples.
    queries: Masks of given parts of a joint model; empty otherwise.
    noise: Noise levels.
    condition: Augmentation of the condition.
    batch_size: Number of examples in a step.
    num_references: Number of examples that targets are averages over; 0
      regresses on the examples themselves.
  """

  draw: Draw
  queries: tuple[tuple[bool, ...], ...]
  noise: NoiseOptions
  condition: ConditionOptions
  batch_size: int
  num_references: int

  def __call__(
    self,
    key: Array,
    state: TrainState,
    data: object,
    progress: Array,
    index: Array,
  ) -> Array:
    """Losses of the examples `index` [b] of a batch, [b]; see `step.Loss`."""
    del progress
    model: LearnedDenoiser = state.model
    sizes = model.layout.x0_sizes
    num_drawn = max(self.num_references, self.batch_size)
    data_key, sigma_key, sample_key = jax.random.split(key, 3)
    # Every device draws all clean examples, which costs little, and takes its
    # part of the batch. The others are references for the targets.
    x0, clean = self.draw(data_key, data, num_drawn)
    references = principal_basis.to_principal(model.basis, x0)
    keys = jax.vmap(lambda i: jax.random.fold_in(sample_key, i))(index)
    shown = augment(
      arrays.fold_in(keys, 0),
      jax.tree.map(lambda c: c[index], clean),
      self.condition,
      queries=self.queries,
    )
    uniform = losses.stratified_uniform(sigma_key, index, self.batch_size)
    sigma = draw_sigma(uniform, self.noise)

    def posterior_mean(z: Array, sigma: Array) -> Array:
      shape = (len(z), num_drawn)
      log_prior = log_condition_prior(
        shown, clean, shape, self.condition.sigma_aug
      )
      return closed_form.posterior_mean(
        z, sigma, references, log_prior=log_prior
      )

    stddev = principal_basis.group_stddev(model.basis, shown.level)

    def mixture_weight(z: Array, sigma: Array) -> Array:
      assert model.base is not None
      variance = model.base.posterior(z, sigma, shown.level)[1]
      return mixture_base.loss_weight(variance, sigma, stddev)

    wiener_weight = losses.wiener_weight(sigma, stddev, sizes=sizes)
    loss = losses.denoising_loss(
      arrays.fold_in(keys, 1),
      model.denoise_principal,
      references[index],
      shown,
      sigma,
      wiener_weight if model.base is None else mixture_weight,
      target_fn=posterior_mean if self.num_references else None,
    )
    if shown.given is None or not model.layout.is_joint:
      return loss
    # Given parts have no loss: the mean is over the others.
    num_missing = jnp.sum(jnp.logical_not(shown.given), axis=-1)
    return loss * len(sizes) / jnp.maximum(num_missing, 1)


def denoising_loss(
  examples: Examples, options: DenoiserOptions
) -> DenoisingLoss:
  """The loss of examples under options."""
  return DenoisingLoss(
    draw=examples.draw,
    queries=examples.queries,
    noise=options.noise,
    condition=options.condition,
    batch_size=options.batch_size,
    num_references=options.num_references,
  )


def make_network(layout: Layout, options: DenoiserOptions) -> ScoreMLP:
  """The network of a layout under options."""
  may_miss_parts = layout.is_joint or options.condition.dropout > 0
  return ScoreMLP(
    output_dim=network_dims(layout).output,
    num_levels=layout.num_levels,
    num_parts=len(layout.given) if may_miss_parts else 0,
    width=options.network.width,
    depth=options.network.depth,
    embedding_dim=options.network.embedding_dim,
    compute_dtype=options.network.compute_dtype.value,
  )


@functools.partial(
  jax.jit, static_argnames=('network', 'layout', 'has_sigma_aug')
)
def _init_network(
  key: Array, network: ScoreMLP, layout: Layout, *, has_sigma_aug: bool
) -> Params:
  dims = network_dims(layout)
  # The fields that a condition has, not their values, decide which parameters
  # exist.
  cond = Condition(
    level=jnp.zeros(1, jnp.int32) if layout.num_levels else None,
    vector=jnp.zeros((1, dims.vector)) if layout.given else None,
    sigma_aug=jnp.ones(1) if has_sigma_aug else None,
  )
  return network.init(key, jnp.zeros((1, dims.input)), jnp.zeros(1), cond)


@functools.partial(jax.jit, static_argnames=('draw', 'options', 'queries'))
def _draw_for_basis(
  key: Array,
  data: object,
  draw: Draw,
  options: ConditionOptions,
  queries: tuple[tuple[bool, ...], ...],
) -> tuple[Array, Condition]:
  draw_key, augment_key = jax.random.split(key)
  x0, cond = draw(draw_key, data, _BASIS_DRAWS)
  # As the network receives it, its noise included.
  return x0, augment(augment_key, cond, options, queries=queries)


def _fit_basis(
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
    fit = principal_basis.fit_principal_basis
    if part.is_coordinates:
      fit = principal_basis.fit_axis_basis
    bases.append(fit(by_name[part.name], groups=groups, num_groups=num_groups))
  return principal_basis.join_bases(bases)


def make_denoiser(
  examples: Examples, options: DenoiserOptions
) -> LearnedDenoiser:
  """The denoiser before training, its bases fitted to the examples."""
  layout = examples.layout
  if options.num_gaussians and (layout.is_joint or len(layout.x0) > 1):
    raise ValueError(
      '`num_gaussians` must be 0 for a joint model, got'
      f' {options.num_gaussians}.'
    )
  network_key, basis_key = jax.random.split(jax.random.key(options.seed))
  x0, shown = _draw_for_basis(
    basis_key, examples.data, examples.draw, options.condition, examples.queries
  )
  basis = _fit_basis(
    x0,
    layout.x0,
    groups=shown.level,
    num_groups=max(layout.num_levels, 1),
  )
  network = make_network(layout, options)
  has_sigma_aug = bool(layout.given) and options.condition.sigma_aug_max > 0
  return LearnedDenoiser(
    params=_init_network(
      network_key, network, layout, has_sigma_aug=has_sigma_aug
    ),
    basis=basis,
    cond_basis=(
      None if shown.vector is None else _fit_basis(shown.vector, layout.given)
    ),
    network=network,
    layout=layout,
    parametrization=options.parametrization,
    sigma_aug=options.condition.sigma_aug,
    base=_fit_base(basis_key, basis, x0, shown.level, options),
  )


def _fit_base(
  key: Array,
  basis: PrincipalBasis,
  x0: Array,
  level: Array | None,
  options: DenoiserOptions,
) -> MixtureBase | None:
  """The mixture of the examples' principal coordinates, if there is one."""
  if not options.num_gaussians:
    return None
  z = principal_basis.to_principal(basis, x0[:_BASE_DRAWS])
  mixture = fit_gaussian_mixture(
    key,
    z,
    noise_std=0.0,
    num_components=options.num_gaussians,
    num_steps=_BASE_STEPS,
    max_dimensions=z.shape[-1],
  )
  return mixture_base.make_base(
    mixture,
    z[: _BASE_DRAWS // 4],
    None if level is None else level[: _BASE_DRAWS // 4],
    num_groups=max(len(basis.stddev), 1),
  )


def fit_denoiser(
  examples: Examples, options: DenoiserOptions, **fit_options: Any
) -> Fitted[LearnedDenoiser]:
  """Trains a denoiser of any examples.

  Args:
    examples: Where examples are drawn from.
    options: Network, noise, condition and training.
    **fit_options: `run_dir`, `settings`, `watch` and `progress` of `fit`.

  Raises:
    NonFiniteLossError: If the loss is no longer finite.
  """
  return fit(
    make_denoiser(examples, options),
    examples.data,
    denoising_loss(examples, options),
    options,
    **fit_options,
  )
