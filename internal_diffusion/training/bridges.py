"""The training of bridges: between pairs, and between two unpaired sets.

A bridge between pairs learns E[x0 | x] of states x between x0 and x1, in one
direction. A Schroedinger bridge between two sets learns both directions with
one network, the direction being the condition's level: 0 leads to the first
set, 1 to the second. It begins with random pairs. In rounds, the current model
takes each sample of one set to the other, and these pairs train the next round
(iterative Markovian fitting, Shi et al. 2023).
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion import arrays
from internal_diffusion.data import principal_basis
from internal_diffusion.data.distributions import Layout, Part
from internal_diffusion.denoisers.learned import LearnedDenoiser
from internal_diffusion.diffusion import bridges, losses
from internal_diffusion.training.denoising import make_denoiser
from internal_diffusion.training.examples import Examples
from internal_diffusion.training.fit import Fitted, Rounds, fit
from internal_diffusion.training.options import DenoiserOptions
from internal_diffusion.training.state import TrainState
from internal_diffusion.types import Condition

Array = jax.Array

# `transport_fn(key, model, x [B, D], level) -> [B, D]`.
TransportFn = Callable[[Array, LearnedDenoiser, Array, int], Array]

_SMALLEST_LEVEL = 0.02  # Of training, over sigma_max.


class Pairs(NamedTuple):
  """Ends of bridges that belong together, [N, D] each."""

  first: Array
  second: Array


@dataclasses.dataclass(frozen=True)
class PairDraw:
  """Draws pairs, as (target, start, condition).

  Attributes:
    is_two_way: Whether half of the draws lead to the second end, by the level.
  """

  is_two_way: bool

  def pairs(
    self, key: Array, data: Pairs, num: int
  ) -> tuple[Array, Array, Condition]:
    """Draws `num` targets and starts [num, D], and the directions."""
    index_key, level_key = jax.random.split(key)
    uniform = arrays.uniform(index_key, (num,))
    index = arrays.index_from_uniform(uniform, len(data.first))
    first, second = data.first[index], data.second[index]
    if not self.is_two_way:
      return first, second, Condition()
    level = (arrays.uniform(level_key, (num,)) < 0.5).astype(jnp.int32)
    to_first = level[:, None] == 0
    return (
      jnp.where(to_first, first, second),
      jnp.where(to_first, second, first),
      Condition(level=level),
    )

  def __call__(
    self, key: Array, data: Pairs, num: int
  ) -> tuple[Array, Condition]:
    """Draws `num` targets and their conditions."""
    target, _, cond = self.pairs(key, data, num)
    return target, cond


@dataclasses.dataclass(frozen=True)
class BridgeLoss:
  """Bridge loss of a `LearnedDenoiser`, in principal coordinates.

  Attributes:
    draw: Draw of the pairs.
    sigma_max: Highest noise level of the bridge.
    batch_size: Number of examples in a step.
  """

  draw: PairDraw
  sigma_max: float
  batch_size: int

  def __call__(
    self,
    key: Array,
    state: TrainState,
    data: Pairs,
    progress: Array,
    index: Array,
  ) -> Array:
    """Losses of the examples `index` [b] of a batch, [b]; see `step.Loss`."""
    del progress
    model: LearnedDenoiser = state.model
    data_key, sigma_key, noise_key = jax.random.split(key, 3)
    drawn = self.draw.pairs(data_key, data, self.batch_size)
    target, start, cond = jax.tree.map(lambda part: part[index], drawn)
    uniform = losses.stratified_uniform(sigma_key, index, self.batch_size)
    # Uniform in sigma, the highest level included.
    low = _SMALLEST_LEVEL
    sigma = self.sigma_max * (low + (1 - low) * (1 - uniform))
    to_principal = functools.partial(principal_basis.to_principal, model.basis)
    return bridges.bridge_loss(
      jax.vmap(lambda i: jax.random.fold_in(noise_key, i))(index),
      model.denoise_principal,
      to_principal(target),
      to_principal(start),
      cond,
      sigma,
      sigma_max=self.sigma_max,
    )


def fit_bridge(
  first: np.ndarray,
  second: np.ndarray,
  options: DenoiserOptions,
  *,
  sigma_max: float,
  **fit_options: Any,
) -> Fitted[LearnedDenoiser]:
  """Trains a bridge from x1 to x0, given pairs of them.

  Args:
    first: Targets x0, [N, D].
    second: Starts x1, [N, D].
    options: Network, length, batch and optimiser.
    sigma_max: Highest noise level, of the order of the distance of a pair's
      ends, for each component.
    **fit_options: Options of `fit`.

  Raises:
    ValueError: If the shapes differ.
    NonFiniteLossError: If the loss is no longer finite.
  """
  if first.shape != second.shape:
    raise ValueError(
      '`first` and `second` must be pairs of one shape, got'
      f' {first.shape} and {second.shape}.'
    )
  data = Pairs(jnp.asarray(first), jnp.asarray(second))
  return _fit(data, PairDraw(False), options, sigma_max, None, fit_options)


def fit_schroedinger_bridge(
  first: np.ndarray,
  second: np.ndarray,
  options: DenoiserOptions,
  *,
  sigma_max: float,
  transport_fn: TransportFn,
  num_rounds: int = 6,
  num_pairs: int = 4096,
  **fit_options: Any,
) -> Fitted[LearnedDenoiser]:
  """Trains a Schroedinger bridge between two sets without pairs.

  Args:
    first: Vectors of the first set, [N, D].
    second: Vectors of the second set, [M, D].
    options: Network, length, batch and optimiser.
    sigma_max: Highest noise level; its square is the weight of the entropy.
    transport_fn: Takes samples to the other set, `sampling.transport` with its
      path of noise levels bound.
    num_rounds: Number of rounds, of equal length.
    num_pairs: Number of pairs of a round.
    **fit_options: Options of `fit`.

  Raises:
    ValueError: If the dimensions differ or a number is not positive.
    NonFiniteLossError: If the loss is no longer finite.
  """
  if first.shape[1:] != second.shape[1:]:
    raise ValueError(
      '`first` and `second` must be vectors of one length, got'
      f' {first.shape} and {second.shape}.'
    )
  arrays.check_positive_int('num_rounds', num_rounds)
  arrays.check_positive_int('num_pairs', num_pairs)
  rng = np.random.default_rng(options.seed)
  starts = Pairs(
    *(
      jnp.asarray(ends[rng.integers(len(ends), size=num_pairs)], jnp.float32)
      for ends in (first, second)
    )
  )
  half = num_pairs // 2

  def make_data(model: LearnedDenoiser) -> Pairs:
    key = jax.random.key(int(rng.integers(2**31)))
    to_first, to_second = (
      transport_fn(jax.random.fold_in(key, level), model, ends, level)
      for level, ends in ((0, starts.second[:half]), (1, starts.first[half:]))
    )
    return Pairs(
      jnp.concatenate([to_first, starts.first[half:]]),
      jnp.concatenate([starts.second[:half], to_second]),
    )

  rounds = Rounds(num_rounds, make_data)
  return _fit(starts, PairDraw(True), options, sigma_max, rounds, fit_options)


def _fit(
  data: Pairs,
  draw: PairDraw,
  options: DenoiserOptions,
  sigma_max: float,
  rounds: Rounds[LearnedDenoiser] | None,
  fit_options: dict[str, Any],
) -> Fitted[LearnedDenoiser]:
  arrays.check_in_range('sigma_max', sigma_max, 0, float('inf'), open_low=True)
  layout = Layout(
    (Part('point', data.first.shape[1]),),
    (),
    num_levels=2 if draw.is_two_way else 0,
  )
  examples = Examples(data, draw, layout)
  return fit(
    make_denoiser(examples, options),
    data,
    BridgeLoss(draw, sigma_max, options.batch_size),
    options,
    rounds=rounds,
    **fit_options,
  )
