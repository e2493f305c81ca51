"""The prior of restoration: a mixture of Gaussians of the picture's patches.

It is fitted to the patches of the picture itself, with the noise that they
have. Lifted to whole images, each patch has the weight

  1 / (1 + sum_k r_k sum_j v_kj / (v_kj + sigma^2)),

since the estimate of a patch that few directions describe has little error
(Guleryuz 2007 weighs in the same spirit).
"""

import functools
import math

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion.data.patches import extract_patches
from internal_diffusion.denoisers.gaussian_mixture import (
  GaussianMixtureDenoiser,
)
from internal_diffusion.sampling import full_image
from internal_diffusion.training.gaussian_mixture import fit_gaussian_mixture
from internal_diffusion.types import BoundDenoiseFn, Condition, static

Array = jax.Array

PATCH_SIZE = 7
NUM_COMPONENTS = 60
_PATCHES_PER_COMPONENT = 500  # At least, on average, in small pictures.
MAX_PATCHES = 300_000  # Number of patches that a mixture is fitted to, about.


@flax.struct.dataclass
class MixtureImageDenoiser:
  """A mixture of Gaussians of patches, as a denoiser of images.

  Attributes:
    mixture: Mixture of patches, [P*P*C].
    patch_size: Side P of a patch.
    stride: Distance of denoised patches, in pixels.
  """

  mixture: GaussianMixtureDenoiser
  patch_size: int = static(default=PATCH_SIZE)
  stride: int = static(default=1)

  @property
  def reach(self) -> int:
    """Distance at which pixels influence an estimate, in pixels."""
    return self.patch_size + self.patch_size % 2

  def __call__(
    self, x: Array, sigma: Array, cond: Condition | None = None
  ) -> Array:
    """Posterior mean of images [B, H, W, C]; the condition is not used."""
    del cond

    def denoise(
      x: Array, sigma: Array, _: full_image.Spots
    ) -> full_image.Weighed:
      mean, degrees = self.mixture.posterior_mean(x, sigma)
      return full_image.Weighed(mean, 1 / (1 + degrees))

    return self._lift(denoise)(x, sigma)

  def posterior(self, x: Array, sigma: Array) -> tuple[Array, Array]:
    """Mean and variance of images [B, H, W, C], each of that shape."""

    def denoise(
      x: Array, sigma: Array, _: full_image.Spots
    ) -> full_image.Weighed:
      found = self.mixture.posterior(x, sigma)
      both = jnp.stack([found.mean, found.variance], axis=-1)
      shape = (len(x), self.patch_size**2, -1, 2)
      both = jnp.swapaxes(both.reshape(shape), -1, -2)
      weights = 1 / (1 + found.degrees)
      return full_image.Weighed(both.reshape(len(x), -1), weights)

    mean, variance = jnp.split(self._lift(denoise)(x, sigma), 2, axis=-1)
    return mean, variance

  def _lift(self, denoise: full_image.SpotDenoiseFn) -> BoundDenoiseFn:
    denoiser = full_image.PatchDenoiser(
      denoise, denoise, self.patch_size, self.patch_size, is_flat=True
    )
    return full_image.lift(denoiser, stride=self.stride)


def fit_mixture_prior(
  key: Array,
  image: Array,
  *,
  noise_std: float,
  patch_size: int = PATCH_SIZE,
  num_components: int = NUM_COMPONENTS,
  num_steps: int = 12,
  start: MixtureImageDenoiser | None = None,
  stride: int = 1,
  hidden_share: float = 0.0,
  max_patches: int = MAX_PATCHES,
) -> MixtureImageDenoiser:
  """Fits the prior to an image with white noise.

  Args:
    key: One key.
    image: Noisy image, [H, W, C].
    noise_std: Standard deviation of its noise.
    patch_size: Side P of a patch, odd.
    num_components: Number of Gaussians; fewer for a small image.
    num_steps: Number of steps of expectation-maximisation.
    start: Prior to start from; None starts anew.
    stride: Distance of the patches that the prior denoises, in pixels.
    hidden_share: See `fit_gaussian_mixture`.
    max_patches: Number of patches that it is fitted to, about.
  """
  num = (image.shape[0] - patch_size + 1) * (image.shape[1] - patch_size + 1)
  apart = max(1, math.ceil(math.sqrt(num / max_patches)))
  vectors = patch_vectors(image, patch_size=patch_size, stride=apart)
  mixture = fit_gaussian_mixture(
    key,
    vectors,
    noise_std=noise_std,
    num_components=max(1, min(num_components, num // _PATCHES_PER_COMPONENT)),
    num_steps=num_steps,
    start=None if start is None else start.mixture,
    hidden_share=hidden_share,
  )
  return MixtureImageDenoiser(mixture, patch_size, stride)


@functools.partial(jax.jit, static_argnames=('patch_size', 'stride'))
def patch_vectors(
  image: Array | np.ndarray, *, patch_size: int, stride: int
) -> Array:
  """Patches of an image [H, W, C] as vectors, [N, P*P*C]."""
  patches = extract_patches(
    jnp.asarray(image), patch_size=patch_size, stride=stride
  )
  return patches.reshape(-1, patches.shape[-1])
