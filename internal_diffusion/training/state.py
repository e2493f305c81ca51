"""What a training run consists of at one step."""

import flax.struct
import jax
import jax.numpy as jnp
import optax

from internal_diffusion.data.principal_basis import PrincipalBasis
from internal_diffusion.denoisers.learned import LearnedParams
from internal_diffusion.types import Params

Array = jax.Array


@flax.struct.dataclass
class TrainState:
  """A pytree; all of it is in every checkpoint.

  Attributes:
    step: Steps taken, scalar int32.
    key_data: Raw data of the run's key. The key itself never changes: step s
      draws from fold_in(key, s), so a resumed run draws what an unbroken one
      does.
    params: Network parameters.
    ema_params: Their exponential moving average, used for sampling.
    opt_state: State of the optimiser.
    basis: The principal basis of x0, fitted before the first step.
    cond_basis: That of the condition's vector, or None.
  """

  step: Array
  key_data: Array
  params: Params
  ema_params: Params
  opt_state: optax.OptState
  basis: PrincipalBasis
  cond_basis: PrincipalBasis | None = None


def create_train_state(
  key: Array,
  params: LearnedParams,
  optimizer: optax.GradientTransformation,
) -> TrainState:
  """The state before the first step."""
  return TrainState(
    step=jnp.zeros((), jnp.int32),
    # Copies: the step donates its state, so nothing else may hold its buffers
    # and none of them may be there twice.
    key_data=jnp.copy(jax.random.key_data(key)),
    params=params.network,
    ema_params=jax.tree.map(jnp.copy, params.network),
    opt_state=optimizer.init(params.network),
    basis=params.basis,
    cond_basis=params.cond_basis,
  )


def learned_params(state: TrainState) -> LearnedParams:
  """The averaged parameters and the bases, as a learned denoiser takes them."""
  return LearnedParams(state.ema_params, state.basis, state.cond_basis)
