"""Denoising by linear combinations of similar patches.

Let X hold K similar clean patches of D numbers in its columns, and Y the same
patches with noise of variance s^2. Patch j is estimated by a linear combination
Y t of the noisy patches with weights that sum to 1, so that an image and the
same image 10 grey levels brighter have the same weights. The noise has mean 0
and is independent of X, so the expected squared error is

  R(t) = E |Y t - x_j|^2 = |X t - x_j|^2 + c |t|^2,   c = D s^2.

Write t = 1/K + p, where p sums to 0. Only patches minus their group's mean then
count; X, Y and x_j are these from here on. Setting the gradient of R to 0 gives
all weights of a group at once, with p_j in the columns of a matrix,

  P = (X^T X + c I)^-1 X^T X = I - c (X^T X + c I)^-1.              (ridge)

It is symmetric, and its columns sum to 0, because 1 is an eigenvector of X^T X.
The least error of patch j itself is R = c (1/K + P_jj).

First step: X is not known, but E Y^T Y = X^T X + c (I - 1 1^T / K). With Y^T Y
in the place of its mean, the error is Stein's unbiased estimate of the risk of
a linear combination (Stein 1981), and its minimum is

  P = I - 1 1^T / K - c (Y^T Y)^+,                                  (unbiased)

where ^+ is the inverse on vectors that sum to 0. Groups must be small against
D, because K^2 weights are found from K D numbers.

Second step: in (ridge), X is replaced by the first estimate. Patches are also
compared in the first estimate, with less noise, so groups can be larger. With
D < K, the same weights come from a matrix of D rows:
P = X^T (X X^T + c I)^-1 X.

Third step: the second once more, from a mixture of both estimates so far. More
texture is kept, and more noise where the image is flat; the mean of the second
and third result has less error than either.

Overlapping estimates are averaged with weights 1 / |t_j|^2, the inverse of the
variance that the noise has left in them.

Sources: two-step collaborative filtering is Dabov et al. 2007 (BM3D); linear
combinations of a group with least risk are Herbreteau & Kervrann 2022, "Towards
a unified view of unsupervised non-local methods for image denoising"; the
unbiased estimate of the risk is Stein 1981, "Estimation of the mean of a
multivariate normal distribution".
"""

from typing import NamedTuple

import flax.struct
import jax
import jax.numpy as jnp

from internal_diffusion import arrays
from internal_diffusion.data.patches import check_patch_size
from internal_diffusion.denoisers.matrix_inverse import inverse_of_positive
from internal_diffusion.denoisers.patch_groups import (
  GroupEstimate,
  Groups,
  map_groups,
  smallest_window,
)
from internal_diffusion.types import Condition, static

Array = jax.Array

# Matrices stay invertible in float32 without noise: smallest c over the mean
# square of a group, and smallest noise variance, because a group may be flat.
_SMALLEST_RATIO, _SMALLEST_VARIANCE = 1e-5, 1e-12
# Added to Y^T Y, in units of c: patches may be copies of each other. By random
# matrix theory, the least eigenvalue of noise is (1 - sqrt(K / D))^2 of these.
_JITTER = 0.01
_OLD = 0.35  # Weight of the first estimate in the guide of the third step.


class ImageEstimate(NamedTuple):
  """Mean and variance of the clean image.

  Attributes:
    mean: [B, H, W, C].
    variance: Expected squared error of each pixel by the model, [B, H, W, C].
  """

  mean: Array
  variance: Array


@flax.struct.dataclass
class SimilarPatchesDenoiser:
  """Denoises an image at a known noise level, from nothing but itself.

  Attributes:
    patch_size: Side P of a patch in pixels, odd.
    num_first: Number of patches of a group in the first step.
    num_second: Number of patches of a group in the steps after it.
    radius: Largest distance of similar patches along rows and columns, in
      pixels.
    stride: Distance of groups along rows and columns, in pixels.
  """

  patch_size: int = static(default=9)
  num_first: int = static(default=18)
  num_second: int = static(default=90)
  radius: int = static(default=18)
  stride: int = static(default=4)

  def __call__(
    self, x: Array, sigma: Array, cond: Condition | None = None
  ) -> Array:
    """Estimate of the clean images, [B, H, W, C]; see `Denoiser`."""
    del cond
    return self.estimate(x, sigma).mean

  def estimate(
    self, x: Array, sigma: Array, *, guide: Array | None = None
  ) -> ImageEstimate:
    """Mean and variance of clean images.

    Args:
      x: Noisy images, [B, H, W, C].
      sigma: Noise level, scalar or [B], or of each pixel, [B, H, W, 1] or [B,
        H, W, C].
      guide: A first estimate, [B, H, W, C], in the place of the first step's.

    Raises:
      ValueError: If shapes are wrong or an image is smaller than a patch.
    """
    self._check(x, sigma, guide)
    return estimate_images(self, x, sigma, guide)

  def combine(self, x: Array, sigma: Array, guide: Array) -> Array:
    """The second step alone, with a guide; all of shape [B, H, W, C].

    Args:
      x: Noisy images.
      sigma: Noise level, scalar.
      guide: First estimate. It may be x itself where x has little noise.

    Raises:
      ValueError: If shapes are wrong or an image is smaller than a patch.
    """
    self._check(x, sigma, guide)

    def one_image(images: tuple[Array, Array]) -> Array:
      noisy, guide = images
      return _step(self, noisy, jnp.full_like(noisy, sigma**2), guide).mean

    return jax.lax.map(one_image, (x, guide))

  def _check(self, x: Array, sigma: Array, guide: Array | None) -> None:
    """Raises ValueError for wrong shapes and options."""
    if x.ndim != 4:
      raise ValueError(
        f'`x` must be images of shape [B, H, W, C], got shape {x.shape}.'
      )
    check_patch_size(self.patch_size, smallest_side=min(x.shape[1:3]))
    for name in ('num_first', 'num_second', 'radius', 'stride'):
      arrays.check_positive_int(name, getattr(self, name))
    if guide is not None and guide.shape != x.shape:
      raise ValueError(
        f'`guide` must have the shape of the noisy images, {x.shape}, got'
        f' {guide.shape}.'
      )
    shape = jnp.shape(sigma)
    per_pixel = {(*x.shape[:3], 1), x.shape}
    if shape not in {(), (len(x),), *per_pixel}:
      raise ValueError(
        f'`sigma` must be a number or have shape {(len(x),)} or {x.shape}, got'
        f' shape {shape}.'
      )


@jax.jit
def estimate_images(
  model: SimilarPatchesDenoiser,
  x: Array,
  sigma: Array,
  guide: Array | None,
) -> ImageEstimate:
  """See `SimilarPatchesDenoiser.estimate`, compiled and without checks."""
  variance = jnp.asarray(sigma, jnp.float32) ** 2
  variance = jnp.broadcast_to(arrays.match_rank(variance, x), x.shape)

  def one_image(images: tuple[Array, Array, Array | None]) -> ImageEstimate:
    noisy, variance, guide = images
    smallest = jnp.maximum(variance, _SMALLEST_VARIANCE)
    if guide is None:
      guide = _step(model, noisy, smallest, None).mean
    second = _step(model, noisy, smallest, guide)
    guide = _OLD * guide + (1 - _OLD) * second.mean
    third = _step(model, noisy, smallest, guide)
    # A pixel without noise is known.
    mean = jnp.where(variance > 0, (second.mean + third.mean) / 2, noisy)
    error = (second.variance + third.variance) / 2
    return ImageEstimate(mean, jnp.where(variance > 0, error, 0.0))

  return jax.lax.map(one_image, (x, variance, guide))


def _step(
  model: SimilarPatchesDenoiser,
  noisy: Array,
  variance: Array,
  guide: Array | None,
) -> ImageEstimate:
  """One step for an image [H, W, C]: the first, or the next from a guide."""
  wanted = model.num_first if guide is None else model.num_second
  options = {'patch_size': model.patch_size, 'radius': model.radius}
  height, width, _ = noisy.shape
  available = smallest_window((height, width), **options)
  mean, error = map_groups(
    combine_by_unbiased_risk if guide is None else combine_by_ridge,
    noisy,
    variance,
    guide,
    num_similar=min(wanted, available),
    stride=model.stride,
    **options,
  )
  return ImageEstimate(mean, error)


def combine_by_unbiased_risk(groups: Groups) -> GroupEstimate:
  """Linear combinations of least unbiased risk: the first step."""
  num, dim = groups.noisy.shape[1:]
  mean, noisy = _centre(groups.noisy)
  gram = jnp.einsum('nid,njd->nij', noisy, noisy)
  noise = _noise_energy(groups.variance * dim, gram)[:, None, None]
  # The vector of ones is an eigenvector of the Gram matrix with eigenvalue 0.
  # With c in its place, the matrix is positive; ones get weight 1 below.
  ones, eye = jnp.full((1, num, num), 1 / num), jnp.eye(num)[None]
  inverse = inverse_of_positive(gram + noise * (ones + _JITTER * eye))
  weights = eye - noise * inverse + ones / (1 + _JITTER)
  return _estimate(groups, weights, mean, noisy)


def combine_by_ridge(groups: Groups) -> GroupEstimate:
  """Linear combinations of least risk by the first estimate: the second."""
  num, dim = groups.noisy.shape[1:]
  mean, noisy = _centre(groups.noisy)
  guide = _centre(groups.members())[1]
  if num <= dim:
    gram = jnp.einsum('nid,njd->nij', guide, guide)
    noise = _noise_energy(groups.variance * dim, gram)[:, None, None]
    eye = jnp.eye(num)[None]
    ridge = eye - noise * inverse_of_positive(gram + noise * eye)
    return _estimate(groups, ridge + 1 / num, mean, noisy)
  gram = jnp.einsum('nki,nkj->nij', guide, guide)
  noise = _noise_energy(groups.variance * dim, gram)
  inverse = inverse_of_positive(
    gram + noise[:, None, None] * jnp.eye(dim)[None]
  )
  dual = jnp.einsum('nki,nij->nkj', guide, inverse)
  ridge = jnp.einsum('nki,nkd->nid', dual, noisy)
  diagonal = jnp.sum(guide * dual, axis=-1)
  norm = diagonal - noise[:, None] * jnp.sum(dual**2, axis=-1)
  return GroupEstimate(
    mean + jnp.einsum('nki,nid->nkd', guide, ridge),
    groups.variance[:, None] * (1 / num + diagonal),
    1 / (1 / num + jnp.maximum(norm, 0)),
  )


def _centre(patches: Array) -> tuple[Array, Array]:
  """Means [N, 1, D] of groups [N, K, D], and patches minus their mean."""
  mean = jnp.mean(patches, axis=1, keepdims=True)
  return mean, patches - mean


def _noise_energy(energy: Array, gram: Array) -> Array:
  """c, at least a tiny part of the mean square of the group, [N]."""
  size = jnp.trace(gram, axis1=1, axis2=2) / gram.shape[-1]
  return jnp.maximum(energy, _SMALLEST_RATIO * size)


def _estimate(
  groups: Groups, weights: Array, mean: Array, noisy: Array
) -> GroupEstimate:
  """Estimates from symmetric weights [N, K, K], whose columns sum to 1."""
  diagonal = jnp.diagonal(weights, axis1=1, axis2=2)
  return GroupEstimate(
    mean + jnp.einsum('nij,njd->nid', weights, noisy),
    groups.variance[:, None] * jnp.clip(diagonal, 0, 1),
    1 / jnp.sum(weights**2, axis=1),
  )
