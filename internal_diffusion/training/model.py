"""From a configuration to its network and denoiser, and what they learnt."""

import dataclasses

import jax
import jax.numpy as jnp
import ml_collections

from internal_diffusion import arrays
from internal_diffusion.data.distributions import Layout
from internal_diffusion.denoisers import embeddings, learned
from internal_diffusion.denoisers.score_mlp import ScoreMLP
from internal_diffusion.diffusion import predictions, processes
from internal_diffusion.types import Condition, ParametricDenoiseFn, Params

Array = jax.Array


@dataclasses.dataclass(frozen=True)
class LearnedModel:
  """A denoiser and what it has learnt.

  Attributes:
    config: The configuration of its run.
    layout: What it generates and is told.
    principal_denoise_fn: Its denoiser, `(params, z, sigma, cond)`, of principal
      coordinates; `denoisers.learned` takes it to pixels.
    params: Averaged parameters and bases.
  """

  config: ml_collections.ConfigDict
  layout: Layout
  principal_denoise_fn: ParametricDenoiseFn
  params: learned.LearnedParams


def make_network(config: ml_collections.ConfigDict, layout: Layout) -> ScoreMLP:
  """The network of a configuration for vectors of a layout.

  Args:
    config: As in configs/default.py.
    layout: What it generates and is told.

  Raises:
    ValueError: If a field is not usable.
  """
  for name in ('width', 'depth'):
    arrays.check_positive_int(f'network.{name}', config.network[name])
  embeddings.check_num_features(
    'network.embedding_dim', config.network.embedding_dim
  )
  match config.network.compute_dtype:
    case 'float32':
      dtype = jnp.float32
    case 'bfloat16':
      dtype = jnp.bfloat16
    case other:
      raise ValueError(
        "`network.compute_dtype` must be 'float32' or 'bfloat16', got"
        f' {other!r}.'
      )
  may_be_left_out = layout.is_joint or config.condition.dropout > 0
  return ScoreMLP(
    output_dim=learned.network_dims(layout).output,
    num_levels=layout.num_levels,
    num_parts=len(layout.given) if may_be_left_out else 0,
    width=config.network.width,
    depth=config.network.depth,
    embedding_dim=config.network.embedding_dim,
    dtype=dtype,
  )


def init_network(
  key: Array,
  network: ScoreMLP,
  layout: Layout,
  config: ml_collections.ConfigDict,
) -> Params:
  """Fresh parameters."""
  dims = learned.network_dims(layout)
  # Which fields a condition has, not what is in them, decides what parameters
  # there are.
  is_told = bool(layout.given) and config.condition.sigma_aug_max > 0
  cond = Condition(
    level=jnp.zeros(1, jnp.int32) if layout.num_levels else None,
    vector=jnp.zeros((1, dims.vector)) if layout.given else None,
    sigma_aug=jnp.ones(1) if is_told else None,
  )
  return jax.jit(network.init)(
    key, jnp.zeros((1, dims.input)), jnp.zeros(1), cond
  )


def make_denoise_fn(
  network: ScoreMLP, layout: Layout, config: ml_collections.ConfigDict
) -> ParametricDenoiseFn:
  """The denoiser of principal coordinates of a configuration."""
  of_process = learned.process_coefficients_fn
  coefficients_fn: learned.CoefficientsFn
  match config.parametrization:
    case 'wiener':
      coefficients_fn = learned.wiener_coefficients
    case 'edm':
      coefficients_fn = learned.edm_coefficients
    case 'vp_eps':
      coefficients_fn = of_process(
        processes.vp_linear_process(), predictions.eps_to_x0
      )
    case 'vp_v':
      coefficients_fn = of_process(
        processes.vp_cosine_process(), predictions.v_to_x0
      )
    case 've_score':
      coefficients_fn = of_process(
        processes.ve_process(), predictions.score_to_x0
      )
    case 'flow':
      coefficients_fn = of_process(
        processes.flow_process(), predictions.velocity_to_x0
      )
    case other:
      raise ValueError(
        "`parametrization` must be 'wiener', 'edm', 'vp_eps', 'vp_v',"
        f" 've_score' or 'flow', got {other!r}."
      )
  return learned.make_principal_denoise_fn(
    network,
    layout,
    coefficients_fn=coefficients_fn,
    sigma_aug=config.condition.sigma_aug,
  )
