"""Filling of missing pixels.

The loop of restoration gives a first picture. Mixtures of subspaces are then
fitted to the patches of the damaged picture by what is seen of them, and fills
each patch with its exact conditional mean. A patch has the weight 1 / v, where
v is its mean posterior variance. The second mixture, of smaller patches, starts
from the result of the first; the mean of both results is better than either.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion.applications.restoration.calibration import (
  calibrating_factor,
)
from internal_diffusion.applications.restoration.loop import (
  falling,
  restore_by_splitting,
)
from internal_diffusion.applications.restoration.mixture_prior import (
  MixtureImageDenoiser,
  patch_vectors,
)
from internal_diffusion.applications.restoration.posterior_samples import (
  draw_samples,
)
from internal_diffusion.applications.restoration.restored import (
  Restored,
  from_std,
)
from internal_diffusion.data.masks import check_mask
from internal_diffusion.data.pointwise import make_masking
from internal_diffusion.denoisers.masked_mixture import (
  MaskedMixture,
  from_gaussians,
)
from internal_diffusion.jax_settings import with_own_settings
from internal_diffusion.sampling import full_image
from internal_diffusion.sampling.constraints import LinearObservation
from internal_diffusion.training.gaussian_mixture import fit_gaussian_mixture
from internal_diffusion.training.masked_mixture import fit_masked_mixture

Array = jax.Array

# Noise levels of the loop, in grey levels of 255.
_FIRST, _LAST, _NUM_STEPS = 40.0, 3.0, 12
# Patch size and number of components of each mixture, by number of channels.
_MIXTURES = {1: ((9, 30), (7, 40)), 3: ((7, 30), (5, 40))}
_RANK, _EM_STEPS = 20, 6
_PATCHES_PER_COMPONENT = 60
_FIT_STRIDE = 2
# Noise of the first mixture: what the loop leaves, in grey levels of 255.
_START_NOISE = 2.0
_HELD_OUT = 0.05  # Share of the seen pixels that calibrates.
_SAMPLE_SIGMA = 20.0  # Noise level where samples begin.


@with_own_settings
def inpaint(
  key: Array,
  image: np.ndarray,
  mask: np.ndarray,
  *,
  num_samples: int = 0,
  progress: bool = False,
) -> Restored:
  """Fills missing pixels; the others stay as they are.

  Args:
    key: One key.
    image: [H, W, C]; the values of missing pixels are not used.
    mask: True where a pixel is missing, [H, W].
    num_samples: Number of samples.
    progress: Whether to show a progress bar.

  Raises:
    ValueError: If the mask has another size, or all or no pixel is missing.
  """
  image = np.asarray(image, np.float32)
  mask = check_mask(mask, image.shape[:2])
  operator = make_masking(~mask)
  seen = jax.device_put((~mask)[..., None].astype(np.float32))
  observed = operator.apply(jax.device_put(np.where(mask[..., None], 0, image)))
  constraint = LinearObservation(operator, observed)
  keys = jax.random.split(key, 4)
  first, _ = restore_by_splitting(
    keys[0],
    operator.interpolate(observed),
    [constraint],
    falling(_FIRST, _LAST, _NUM_STEPS),
    stride=2,
    progress=progress,
  )
  # Some seen pixels are kept from the mixtures, so that they can calibrate.
  is_kept = jax.random.uniform(keys[2], seen.shape) >= _HELD_OUT
  kept = seen * is_kept
  mixtures: list[_PatchMixture] = []
  for index, (patch_size, num) in enumerate(_MIXTURES[image.shape[-1]]):
    own_key = jax.random.fold_in(keys[1], index)
    mixture = _fit(own_key, first, observed * kept, kept, patch_size, num)
    mixtures.append(_PatchMixture(mixture, patch_size))
    mean, variance = _complete(mixtures, observed * kept, kept)
    first = jnp.where(kept > 0, observed, mean)
  held_out = np.broadcast_to(np.asarray(seen > kept), observed.shape)
  factor = 1.0
  if held_out.any():  # Not always, where few pixels are seen.
    factor = calibrating_factor(
      np.asarray(mean - observed)[held_out],
      np.sqrt(np.asarray(variance))[held_out],
    )
  mean, variance = _complete(mixtures, observed, seen)
  std = np.where(mask[..., None], factor * np.sqrt(np.asarray(variance)), 0)
  filled = np.where(mask[..., None], np.asarray(mean), image)
  last = mixtures[-1]
  samples = draw_samples(
    keys[3],
    MixtureImageDenoiser(last.mixture.to_gaussians(), last.patch_size, 2),
    jax.device_put(filled),
    num=num_samples,
    sigma=2 * _SAMPLE_SIGMA / 255,
    is_noisy=False,
    constraints=(constraint,),
    progress=progress,
  )
  samples = np.where(mask[..., None], samples, image)
  missing = round(float(mask.mean()), 4)
  return from_std(filled, std, samples=samples, found={'missing': missing})


class _PatchMixture(NamedTuple):
  """A mixture of patches with a side of `patch_size`."""

  mixture: MaskedMixture
  patch_size: int


def _fit(
  key: Array,
  first: Array,
  observed: Array,
  seen: Array,
  patch_size: int,
  num_components: int,
) -> MaskedMixture:
  """The mixture of the patches by what is seen of them."""
  cut = functools.partial(
    patch_vectors, patch_size=patch_size, stride=_FIT_STRIDE
  )
  vectors = cut(first)
  most = len(vectors) // _PATCHES_PER_COMPONENT
  gaussians = fit_gaussian_mixture(
    key,
    vectors,
    noise_std=2 * _START_NOISE / 255,
    num_components=max(1, min(num_components, most)),
    num_steps=_EM_STEPS,
  )
  start = from_gaussians(
    gaussians, rank=_RANK, noise_std=2 * _START_NOISE / 255
  )
  all_seen = jnp.broadcast_to(seen, observed.shape)
  return fit_masked_mixture(
    cut(observed), cut(all_seen), start, num_steps=_EM_STEPS
  )


def _complete(
  mixtures: Sequence[_PatchMixture], observed: Array, seen: Array
) -> tuple[Array, Array]:
  """Averages of the means and variances [H, W, C] by the mixtures."""
  found = [_complete_by(*one, observed, seen) for one in mixtures]
  means, variances = zip(*found, strict=True)
  return sum(means) / len(means), sum(variances) / len(variances)


@functools.partial(jax.jit, static_argnames='patch_size')
def _complete_by(
  mixture: MaskedMixture, patch_size: int, observed: Array, seen: Array
) -> tuple[Array, Array]:
  """Mean and variance [H, W, C] of a picture given its seen pixels."""
  num_channels = observed.shape[-1]
  all_seen = jnp.broadcast_to(seen, observed.shape)

  def fill(both: Array, _: Array, __: full_image.Spots) -> full_image.Weighed:
    shape = (len(both), patch_size**2, 2, num_channels)
    x, own_seen = jnp.moveaxis(both.reshape(shape), 2, 0)
    found = mixture.complete(
      x.reshape(len(both), -1), own_seen.reshape(len(both), -1)
    )
    out = [
      part.reshape(len(both), patch_size**2, num_channels)
      for part in (found.mean, found.variance)
    ]
    weights = jnp.mean(found.variance, axis=-1) ** -1
    values = jnp.concatenate(out, axis=-1).reshape(len(both), -1)
    return full_image.Weighed(values, weights)

  lifted = full_image.lift(
    full_image.PatchDenoiser(fill, fill, patch_size, patch_size, is_flat=True)
  )
  both = jnp.concatenate([observed, all_seen], axis=-1)
  found = lifted(both[None], jnp.float32(0))[0]
  mean, variance = jnp.split(found, 2, axis=-1)
  return mean, variance
