"""From a configuration to its network and denoiser."""

import jax
import jax.numpy as jnp
import ml_collections

from internal_diffusion import arrays
from internal_diffusion.denoisers import embeddings, learned
from internal_diffusion.denoisers.score_mlp import ScoreMLP
from internal_diffusion.diffusion import predictions, processes
from internal_diffusion.types import Condition, ParametricDenoiseFn, Params

Array = jax.Array


def make_network(
  config: ml_collections.ConfigDict, *, num_levels: int, num_channels: int
) -> ScoreMLP:
  """The network of a configuration."""
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
  _, output_dim = learned.network_dims(config.patch_size**2 * num_channels)
  return ScoreMLP(
    output_dim=output_dim,
    num_levels=num_levels,
    width=config.network.width,
    depth=config.network.depth,
    embedding_dim=config.network.embedding_dim,
    dtype=dtype,
  )


def init_network(key: Array, network: ScoreMLP) -> Params:
  """Fresh parameters."""
  input_dim, _ = learned.network_dims(network.output_dim // 2)
  return jax.jit(network.init)(
    key,
    jnp.zeros((1, input_dim)),
    jnp.zeros(1),
    Condition(level=jnp.zeros(1, jnp.int32)),
  )


def make_denoise_fn(
  network: ScoreMLP, config: ml_collections.ConfigDict
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
    network, coefficients_fn=coefficients_fn
  )
