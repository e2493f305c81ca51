"""The training of a learned denoiser: its initial value and its run."""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from internal_diffusion.data import distributions, principal_basis
from internal_diffusion.data.distributions import Layout, Part
from internal_diffusion.data.principal_basis import PrincipalBasis
from internal_diffusion.denoisers import mixture_base
from internal_diffusion.denoisers.learned import LearnedDenoiser, network_dims
from internal_diffusion.denoisers.mixture_base import MixtureBase
from internal_diffusion.denoisers.score_mlp import ScoreMLP
from internal_diffusion.training.corruption import augment
from internal_diffusion.training.denoising_loss import denoising_loss
from internal_diffusion.training.examples import Draw, Examples
from internal_diffusion.training.fit import Fitted, fit
from internal_diffusion.training.gaussian_mixture import fit_gaussian_mixture
from internal_diffusion.training.options import (
  ConditionOptions,
  DenoiserOptions,
)
from internal_diffusion.types import Condition, Params

Array = jax.Array
_BASIS_DRAWS = 2**16  # Examples that the principal bases are fitted to.
_BASE_DRAWS, _BASE_STEPS = 2**14, 8  # And the mixture, by steps of EM.


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
