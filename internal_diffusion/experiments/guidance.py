"""Guidance by a classifier and without one, on a mixture and on two textures.

On a mixture of Gaussians everything is exact: guidance of weight 1 by the exact
classifier is the conditional distribution.

On patches of two textures, brick and gravel, the classes are the textures;
`class_guidance` says what is trained and compared. At the largest weight,
estimates leave [-1, 1]: static and dynamic thresholding bring them back.
"""

import functools

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
from internal_diffusion.experiments import class_guidance, mixtures
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
_NUM_SAMPLES = 512  # Of each texture.
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
  fitted, held_out = texture_patches()
  models = class_guidance.train(
    fitted, held_out, seed, effort=effort, progress=progress
  )
  num = scaled(_NUM_SAMPLES, effort, at_least=64)
  drawn = class_guidance.draw_all(seed, models, fitted, num)
  real_share = class_guidance.share(models.judge, fitted)
  return Result(
    measures={
      'mixture, exact classifier: total variation to the conditional': Measure(
        exact, at_most=0.03
      ),
      **class_guidance.measures(drawn, real_share=real_share, at_least=0.95),
    },
    samples={f'drawn: {name}': found.vectors for name, found in drawn.items()},
    pictures={
      'trade_off': (
        functools.partial(class_guidance.trade_off, drawn, real_share),
        'Fidelity and diversity over the weight of guidance.',
      ),
      'patches': (
        functools.partial(
          class_guidance.class_patches,
          drawn,
          fitted,
          _TEXTURES,
          shape=(_PATCH_SIZE, _PATCH_SIZE, 1),
        ),
        'Patches of two textures by guidance, beside real ones.',
      ),
    },
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


def texture_patches() -> tuple[np.ndarray, np.ndarray]:
  """Patches of two textures, of the left and right halves, [2, N, D] each."""
  halves: list[list[np.ndarray]] = [[], []]
  for name in _TEXTURES:
    pixels = getattr(skimage.data, name)()[..., None].astype(np.float32)
    image = image_io.bound_side(pixels / 127.5 - 1, max_side=_SIDE)
    half = image.shape[1] // 2
    for part, cut in zip(
      halves, (image[:, :half], image[:, half:]), strict=True
    ):
      dense = patches.extract_patches(jnp.asarray(cut), patch_size=_PATCH_SIZE)
      part.append(np.asarray(dense).reshape(-1, dense.shape[-1]))
  fitted, held_out = (np.stack(part) for part in halves)
  return fitted, held_out
