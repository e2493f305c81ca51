"""A classifier of noisy vectors, and denoisers guided by one.

The classifier is a network of the Wiener estimate of x0 in principal
coordinates, over their standard deviations, so that a coordinate which is
nearly all noise has little influence, and of the energies of its frequency
bands over the noise, in which textures and scales differ. With it the
unconditional denoiser becomes a conditional one (Dhariwal & Nichol 2021), see
`diffusion.guidance`. A class is the condition's vector, one-hot, or its pyramid
level.
"""

from typing import cast

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp

from internal_diffusion.data import principal_basis
from internal_diffusion.data.principal_basis import PrincipalBasis
from internal_diffusion.denoisers import embeddings
from internal_diffusion.diffusion import guidance, preconditioning
from internal_diffusion.types import Condition, Denoiser, Params, static

Array = jax.Array


def class_weights(cond: Condition | None, num_classes: int) -> Array:
  """The classes of a condition, one-hot or as probabilities, [B, K].

  Raises:
    ValueError: If the condition names no class.
  """
  if cond is not None and cond.vector is not None:
    if cond.vector.shape[-1] != num_classes:
      raise ValueError(
        f'`cond.vector` must be [B, {num_classes}], one-hot, got shape'
        f' {cond.vector.shape}.'
      )
    return cond.vector
  if cond is None or cond.level is None:
    raise ValueError(
      '`cond` must name a class, by a one-hot vector or a level, got neither.'
    )
  return jax.nn.one_hot(cond.level, num_classes)


@flax.struct.dataclass
class NoisyClassifier:
  """A classifier of noisy vectors; its parameters are trained by `fit`.

  Attributes:
    params: Parameters of the network.
    basis: Principal basis of x0, of one group.
    network: Flax module `(inputs [B, F], c_noise [B]) -> logits [B, K]`.
    num_classes: Number of classes K.
  """

  params: Params
  basis: PrincipalBasis
  network: nn.Module = static()
  num_classes: int = static()

  def log_posterior(self, x: Array, sigma: Array) -> Array:
    """Log p(class | x; sigma), [B, K], of noisy vectors [B, D]."""
    sigma = jnp.broadcast_to(sigma, x.shape[:1])
    z = principal_basis.to_principal(self.basis, x)
    stddev = principal_basis.group_stddev(self.basis, None)
    scales = preconditioning.edm_coefficients(sigma, stddev)
    estimate = scales.c_skip * z / stddev
    energies = embeddings.noise_relative_features(z / sigma[:, None])
    inputs = jnp.concatenate([estimate, energies], axis=-1)
    logits = self.network.apply(self.params, inputs, scales.c_noise)
    return jax.nn.log_softmax(cast(Array, logits), axis=-1)

  def __call__(
    self, x: Array, sigma: Array, cond: Condition | None = None
  ) -> Array:
    """Log likelihood of the condition's class, [B]."""
    weights = class_weights(cond, self.num_classes)
    return jnp.sum(weights * self.log_posterior(x, sigma), axis=-1)


@flax.struct.dataclass
class ClassifierGuided:
  """A denoiser with classifier guidance.

  Attributes:
    denoiser: Unconditional denoiser; it gets no condition.
    classifier: `(x, sigma, cond) -> log p(c | x; sigma)`, [B].
    guidance_weight: Weight w; 1 is Bayes' rule.
  """

  denoiser: Denoiser
  classifier: guidance.LogLikelihoodFn
  guidance_weight: float = static(default=1.0)

  def __call__(
    self, x: Array, sigma: Array, cond: Condition | None = None
  ) -> Array:
    """Denoises vectors x [B, D] given a class; see `Denoiser`."""
    guided = guidance.classifier_guidance(
      lambda x, sigma, cond: self.denoiser(x, sigma, None),
      self.classifier,
      guidance_weight=self.guidance_weight,
    )
    return guided(x, sigma, cond)


@flax.struct.dataclass
class Thresholded:
  """A denoiser of values in [-1, 1] whose estimates stay there.

  Attributes:
    denoiser: Denoiser.
    quantile: Quantile of dynamic thresholding; None clips (static).
  """

  denoiser: Denoiser
  quantile: float | None = static(default=None)

  def __call__(
    self, x: Array, sigma: Array, cond: Condition | None = None
  ) -> Array:
    """Denoises vectors x [B, D]; see `Denoiser`."""
    denoised = self.denoiser(x, sigma, cond)
    if self.quantile is None:
      return jnp.clip(denoised, -1, 1)
    return guidance.dynamic_threshold(denoised, quantile=self.quantile)
