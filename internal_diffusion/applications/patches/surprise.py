"""How surprising each patch of an image is to a model of patches.

The surprise of a patch is -log2 p(patch) for each of its values, in bits. The
model is the closed form of another image's patches, that of the image's own
patches without those that share a pixel with the patch in question, or a
learned model, whose density is that of its probability flow.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion import arrays
from internal_diffusion.applications.patches.options import Distributions
from internal_diffusion.applications.patches.training import PatchModel
from internal_diffusion.data import image_io, patches
from internal_diffusion.denoisers.kernel_density import kernel_log_density
from internal_diffusion.jax_settings import with_own_settings
from internal_diffusion.sampling import finite, likelihood
from internal_diffusion.types import Condition

Array = jax.Array

_BANDWIDTHS = np.geomspace(0.005, 0.5, 15).astype(np.float32)
_NUM_FOR_BANDWIDTH = 1000  # Patches whose likelihood chooses the bandwidth.
_NUM_LEVELS = 40  # Of the probability flow.
_CHUNK = 2048  # Patches on the device at once.


class Surprise(NamedTuple):
  """A map of surprise.

  Attributes:
    bits: Bits per value of the patch around each pixel, [H, W]; NaN at the
      border, which is no patch's centre.
    sigma: Noise level that smooths the density.
  """

  bits: np.ndarray
  sigma: float


@with_own_settings
def surprise_map(
  image: np.ndarray,
  *,
  reference: np.ndarray | None = None,
  patch_size: int = 7,
  sigma: float | None = None,
) -> Surprise:
  """Surprise of an image's patches to the closed form.

  Args:
    image: [H, W, C] float32 in [-1, 1].
    reference: Image that the model knows, [H', W', C]; None is the image
      itself, each patch without those that overlap it.
    patch_size: Side P of a patch, odd.
    sigma: Noise level that smooths the density; None is that of the highest
      likelihood of the reference's patches, each without those that overlap it.

  Raises:
    ValueError: If an image or an option is not usable.
  """
  image = image_io.check_image(image)
  known = image if reference is None else image_io.check_image(reference)
  if known.shape[-1] != image.shape[-1]:
    raise ValueError(
      f'`reference` must have {image.shape[-1]} channels as the image, got'
      f' {known.shape[-1]}.'
    )
  patches.check_patch_size(patch_size, smallest_side=min(image.shape[:2]))
  # Every patch needs one that it does not overlap.
  patches.check_patch_size(
    patch_size,
    smallest_side=min(known.shape[:2]) // 2,
    where='half of the ' + ('image' if reference is None else 'reference'),
  )
  x, places = _dense(image, patch_size)
  references, known_places = _dense(known, patch_size)
  if sigma is None:
    sigma = _best_bandwidth(references, known_places, patch_size)
  arrays.check_in_range('sigma', sigma, 0, 100, open_low=True)
  found = kernel_log_density(
    x,
    references,
    jnp.float32([sigma]),
    places=places if reference is None else None,
    reference_places=known_places,
    radius=patch_size,
  )
  return _as_map(found[:, 0], image, patch_size, sigma)


@with_own_settings
def model_surprise_map(
  key: Array, model: PatchModel, image: np.ndarray, *, num_probes: int = 2
) -> Surprise:
  """Surprise of an image's patches to a learned model, at its finest level.

  Args:
    key: One key, for the probes of the estimate.
    model: A model of p(patch).
    image: [H, W, C] float32 in [-1, 1].
    num_probes: Number of probes of Hutchinson's estimate, at least 2.

  Raises:
    ValueError: If the image does not fit the model, or the model is of another
      distribution and so has no density of patches.
  """
  image, options = image_io.check_image(image), model.options
  if options.distribution != Distributions.PATCH:
    raise ValueError(
      "`model` must be of the distribution 'patch', got"
      f' {str(options.distribution)!r}.'
    )
  if image.shape[-1] != model.image_shape[-1]:
    raise ValueError(
      f'`image` must have {model.image_shape[-1]} channels as the image that'
      f' the model was trained on, got {image.shape[-1]}.'
    )
  patches.check_patch_size(
    options.patch_size, smallest_side=min(image.shape[:2])
  )
  x = np.asarray(_dense(image, options.patch_size)[0])
  sigmas = np.geomspace(
    options.noise.sigma_min, options.noise.sigma_max, _NUM_LEVELS
  )
  found = []
  for start in range(0, len(x), _CHUNK):
    # The last chunk is filled up with copies of its last patch.
    index = np.minimum(start + np.arange(_CHUNK), len(x) - 1)
    chunk_key = jax.random.fold_in(key, start)
    arguments = model, jax.device_put(x[index]), tuple(sigmas), num_probes
    values = _estimate(chunk_key, *arguments)
    if not finite.is_finite(values):
      _estimate_log_density(chunk_key, *arguments)  # Names the step.
    found.append(np.asarray(values))
  values = np.concatenate(found)[: len(x)]
  return _as_map(values, image, options.patch_size, options.noise.sigma_min)


def _estimate_log_density(
  key: Array,
  model: PatchModel,
  x: Array,
  sigmas: tuple[float, ...],
  num_probes: int,
) -> Array:
  cond = Condition(level=jnp.zeros(len(x), jnp.int32))
  return likelihood.estimate_log_density(
    key,
    lambda x, sigma: model(x, sigma, cond),
    x,
    np.array(sigmas),
    num_probes=num_probes,
  ).value


_estimate = jax.jit(
  _estimate_log_density, static_argnames=('sigmas', 'num_probes')
)


def _dense(image: np.ndarray, patch_size: int) -> tuple[Array, Array]:
  """All patches [N, D], and the row and column of each, [N, 2]."""
  found = patches.extract_patches(jax.device_put(image), patch_size=patch_size)
  places = np.indices(found.shape[:2]).reshape(2, -1).T
  return found.reshape(len(places), -1), jax.device_put(places)


def _best_bandwidth(references: Array, places: Array, radius: int) -> float:
  stride = max(1, len(references) // _NUM_FOR_BANDWIDTH)
  found = kernel_log_density(
    references[::stride],
    references,
    jax.device_put(_BANDWIDTHS),
    places=places[::stride],
    reference_places=places,
    radius=radius,
  )
  return float(_BANDWIDTHS[int(jnp.argmax(jnp.mean(found, axis=0)))])


def _as_map(
  log_density: Array | np.ndarray,
  image: np.ndarray,
  patch_size: int,
  sigma: float,
) -> Surprise:
  dim = patch_size**2 * image.shape[-1]
  bits = likelihood.bits_per_dimension(log_density, dim=dim)
  half = patch_size // 2
  height, width = image.shape[:2]
  inside = np.asarray(bits).reshape(
    height - patch_size + 1, width - patch_size + 1
  )
  padded = np.pad(inside, half, constant_values=np.nan)
  return Surprise(padded, float(sigma))
