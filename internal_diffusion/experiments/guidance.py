"""Guidance by a classifier and without one, on a mixture and on two textures.

On a mixture of Gaussians everything is exact: guidance of weight 1 by the exact
classifier is the conditional distribution.

On patches of two textures, brick and gravel, the classes are the textures;
`class_guidance` says what is trained and compared. At the largest weight,
estimates leave [-1, 1]: static and dynamic thresholding bring them back.
"""

import dataclasses

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import skimage.data

from internal_diffusion.data import image_io, patches
from internal_diffusion.denoisers.gaussian_mixture import (
  GaussianMixtureDenoiser,
)
from internal_diffusion.denoisers.noisy_classifier import ClassifierGuided
from internal_diffusion.diffusion import schedules
from internal_diffusion.experiments import mixtures
from internal_diffusion.experiments.class_results import compare_guidance
from internal_diffusion.experiments.frequencies import (
  nearest_frequencies,
  total_variation,
)
from internal_diffusion.experiments.result import Measure, Result
from internal_diffusion.experiments.training import scaled
from internal_diffusion.sampling import make_sample_fn
from internal_diffusion.types import Condition

_PATCH_SIZE = 11
_SIDE = 160  # Of a texture, in pixels.
_NUM_EXACT = 20_000
_TEXTURES = ('brick', 'gravel')


@flax.struct.dataclass
class ClassOfMixture:
  """The exact classifier of groups of a mixture's components.

  Attributes:
    whole: The mixture of all components.
    part: The mixture of the class asked for, of weights that sum to 1.
  """

  whole: GaussianMixtureDenoiser
  part: GaussianMixtureDenoiser

  def __call__(
    self, x: jax.Array, sigma: jax.Array, cond: Condition | None = None
  ) -> jax.Array:
    """Log p(class | x; sigma) up to a constant, [B]."""
    del cond
    return self.part.log_density(x, sigma) - self.whole.log_density(x, sigma)


def run(seed: int, *, effort: float = 1.0, progress: bool = False) -> Result:
  """Guides on the mixture, then on the textures."""
  exact = exact_total_variation(
    jax.random.key(seed), scaled(_NUM_EXACT, effort, at_least=256)
  )
  result = compare_guidance(
    seed,
    texture_patches(),
    lambda _: 0.95,
    shape=(_PATCH_SIZE, _PATCH_SIZE, 1),
    effort=effort,
    progress=progress,
  )
  label = 'mixture, exact classifier: total variation to the conditional'
  return dataclasses.replace(
    result, measures={label: Measure(exact, at_most=0.03), **result.measures}
  )


def exact_total_variation(key: jax.Array, num: int) -> float:
  """Distance of guided draws from the exact conditional of a mixture."""
  whole = mixtures.three_modes()
  members = np.array([0, 2])
  weights = np.exp(np.asarray(whole.log_weights))[members]
  weights = weights / weights.sum()
  part = jax.tree.map(lambda field: field[members], whole)
  part = part.replace(log_weights=jnp.log(jnp.asarray(weights)))
  guided = ClassifierGuided(whole, ClassOfMixture(whole, part), 1.0)
  sample_fn = make_sample_fn(
    schedules.karras_sigmas(24, sigma_min=0.01, sigma_max=20.0),
    sample_shape=(2,),
    chunk_size=4096,
  )
  found = sample_fn(guided, key, num_samples=num)
  frequencies = nearest_frequencies(found, np.asarray(whole.means))
  expected = np.zeros(3)
  expected[members] = weights
  return total_variation(frequencies, expected)


def texture_patches() -> dict[str, tuple[np.ndarray, np.ndarray]]:
  """By texture, patches of its left and of its right half, [N, D] each."""
  found = {}
  for name in _TEXTURES:
    pixels = getattr(skimage.data, name)()[..., None].astype(np.float32)
    image = image_io.bound_side(pixels / 127.5 - 1, max_side=_SIDE)
    half = image.shape[1] // 2
    fitted, held_out = (
      np.asarray(
        patches.extract_patches(jnp.asarray(cut), patch_size=_PATCH_SIZE)
      ).reshape(-1, _PATCH_SIZE**2)
      for cut in (image[:, :half], image[:, half:])
    )
    found[name] = fitted, held_out
  return found
