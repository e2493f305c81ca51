"""The training of a classifier of noisy vectors.

The loss is the cross-entropy of the classes given x0 + sigma eps, whose
minimiser is the posterior p(class | x; sigma) at every noise level.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from internal_diffusion import arrays
from internal_diffusion.data import principal_basis
from internal_diffusion.denoisers import embeddings
from internal_diffusion.denoisers.noisy_classifier import (
  NoisyClassifier,
  class_weights,
)
from internal_diffusion.denoisers.score_mlp import ScoreMLP
from internal_diffusion.diffusion import losses
from internal_diffusion.training.corruption import draw_sigma
from internal_diffusion.training.examples import Draw, Examples
from internal_diffusion.training.fit import Fitted, fit
from internal_diffusion.training.options import DenoiserOptions, NoiseOptions
from internal_diffusion.training.state import TrainState

Array = jax.Array

_BASIS_DRAWS = 2**14  # Examples that the principal basis is fitted to.


@dataclasses.dataclass(frozen=True)
class ClassifierLoss:
  """Cross-entropy of the classes of noisy examples.

  Attributes:
    draw: Draw of the examples; their conditions name the classes.
    noise: Noise levels.
    batch_size: Number of examples in a step.
  """

  draw: Draw
  noise: NoiseOptions
  batch_size: int

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
    model: NoisyClassifier = state.model
    data_key, sigma_key, noise_key = jax.random.split(key, 3)
    x0, cond = self.draw(data_key, data, self.batch_size)
    keys = jax.vmap(lambda i: jax.random.fold_in(noise_key, i))(index)
    uniform = losses.stratified_uniform(sigma_key, index, self.batch_size)
    sigma = draw_sigma(uniform, self.noise)
    noise = arrays.normal(keys, (len(index), x0.shape[-1]))
    x = x0[index] + sigma[:, None] * noise
    return -model(x, sigma, jax.tree.map(lambda c: c[index], cond))


def make_classifier(
  examples: Examples, options: DenoiserOptions, *, num_classes: int
) -> NoisyClassifier:
  """The classifier before training: all classes are equally likely.

  Raises:
    ValueError: If the examples' conditions name no class of `num_classes`.
  """
  draw_key, network_key = jax.random.split(jax.random.key(options.seed))
  x0, cond = examples.draw(draw_key, examples.data, _BASIS_DRAWS)
  class_weights(cond, num_classes)  # A check.
  network = ScoreMLP(
    output_dim=num_classes,
    width=options.network.width,
    depth=options.network.depth,
    embedding_dim=options.network.embedding_dim,
  )
  num_inputs = 2 * x0.shape[-1] + embeddings.num_bands(x0.shape[-1])
  params = jax.jit(network.init)(
    network_key, jnp.zeros((1, num_inputs)), jnp.zeros(1)
  )
  basis = principal_basis.fit_principal_basis(x0)
  return NoisyClassifier(params, basis, network, num_classes)


def fit_classifier(
  examples: Examples,
  options: DenoiserOptions,
  *,
  num_classes: int,
  **fit_options: Any,
) -> Fitted[NoisyClassifier]:
  """Trains a classifier of noisy examples.

  Args:
    examples: Where examples are drawn from; the condition is one-hot or a
      level.
    options: Network, noise and training.
    num_classes: Number of classes K.
    **fit_options: Options of `fit`.

  Raises:
    ValueError: As `make_classifier`.
    NonFiniteLossError: If the loss is no longer finite.
  """
  return fit(
    make_classifier(examples, options, num_classes=num_classes),
    examples.data,
    ClassifierLoss(examples.draw, options.noise, options.batch_size),
    options,
    **fit_options,
  )
