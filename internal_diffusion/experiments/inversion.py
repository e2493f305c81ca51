"""The probability flow up and down again: points, patches, a whole image.

Points of a mixture of Gaussians are encoded by its exact denoiser: encodings
are normal, neighbours stay neighbours, and decoding returns the points. So do
patches of a photograph, with a mixture fitted to them, and a whole image, with
the same denoiser lifted to images. Between two encodings of patches lie new
patches; between the patches themselves lie only their blends.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats
import skimage.data

from internal_diffusion import figures
from internal_diffusion.applications.restoration.mixture_prior import (
  fit_mixture_prior,
)
from internal_diffusion.data import image_io, patches
from internal_diffusion.denoisers.gaussian_mixture import (
  GaussianMixtureDenoiser,
)
from internal_diffusion.diffusion import schedules
from internal_diffusion.evaluation import psnr
from internal_diffusion.experiments import mixtures
from internal_diffusion.experiments.result import Measure, Result
from internal_diffusion.experiments.training import scaled
from internal_diffusion.sampling import (
  decode,
  encode,
  spherical_interpolation,
)
from internal_diffusion.training.gaussian_mixture import fit_gaussian_mixture
from internal_diffusion.types import Denoiser

_SIGMA_MIN, _SIGMA_MAX = 0.01, 20.0
_NUM_STEPS = 200
_NUM_POINTS = 4000
_PATCH_SIZE = 7
_NUM_PATCHES, _NUM_COMPONENTS = 512, 30
_SIDE = 96  # Of the image, in pixels.
_NUM_SHOWN, _NUM_BETWEEN = 6, 9


def run(seed: int, *, effort: float = 1.0, progress: bool = False) -> Result:
  """Encodes and decodes all three, and interpolates between patches."""
  del progress
  key = jax.random.key(seed)
  sigmas = schedules.karras_sigmas(
    scaled(_NUM_STEPS, effort, at_least=10),
    sigma_min=_SIGMA_MIN,
    sigma_max=_SIGMA_MAX,
    rho=5.0,
  )
  mixture = mixtures.three_modes()
  num = scaled(_NUM_POINTS, effort, at_least=256)
  cloud = mixtures.draw(key, mixture, num)
  noise, cloud_back = _there_and_back(mixture, jnp.asarray(cloud), sigmas)
  noise = np.asarray(noise) / _SIGMA_MAX
  photograph = skimage.data.coffee().astype(np.float32) / 127.5 - 1
  image = image_io.bound_side(photograph, max_side=_SIDE)
  real, patch_model = _patches(key, image)
  chosen = np.random.default_rng(seed).permutation(len(real))[:_NUM_PATCHES]
  shown = jnp.asarray(real[chosen])
  codes, patches_back = _there_and_back(patch_model, shown, sigmas)
  decibels = _decibels(patches_back, shown)
  between = _between(patch_model, codes, sigmas)
  image_code, image_back = _image_there_and_back(key, image, sigmas)
  image_back = image_back.clip(-1, 1)
  normal = max(
    scipy.stats.kstest(noise[:, axis], 'norm').statistic for axis in range(2)
  )
  return Result(
    measures={
      'points: largest error of decoding': Measure(
        float(abs(np.asarray(cloud_back) - cloud).max()), at_most=0.02
      ),
      'points: Kolmogorov-Smirnov distance of encodings to normal': Measure(
        float(normal), at_most=0.03
      ),
      'patches: decoded, median decibels': Measure(
        float(np.median(decibels)), at_least=45
      ),
      # The others lie where the flow divides between two components.
      'patches: fraction that returns with 45 decibels': Measure(
        float((decibels >= 45).mean())
      ),
      'image: decoded, decibels': Measure(psnr(image_back, image), at_least=45),
      # 1 for the denoiser of a distribution; a lifted one is an approximation.
      'image: standard deviation of its encoding': Measure(
        float(image_code.std())
      ),
    },
    samples={
      'points': cloud,
      'encodings': noise,
      'image': image,
      'decoded': image_back,
      'between': between,
    },
    pictures={
      'points': (
        functools.partial(_points_picture, mixture, cloud, noise),
        'Points of a mixture, and their encodings: the flow keeps neighbours'
        ' together.',
      ),
      'interpolation': (
        functools.partial(_between_picture, between, np.asarray(shown)),
        'Between two patches (left and right): along the great circle of their'
        ' encodings, and below each row their blends.',
      ),
      'image': (
        functools.partial(_image_picture, image, image_back),
        'An image, and the same encoded to noise and decoded.',
      ),
    },
  )


@jax.jit
def _there_and_back(
  model: Denoiser, x: jax.Array, sigmas: jax.Array
) -> tuple[jax.Array, jax.Array]:
  codes = encode(model, x, sigmas)
  return codes, decode(model, codes, sigmas)


def _patches(
  key: jax.Array, image: np.ndarray
) -> tuple[np.ndarray, GaussianMixtureDenoiser]:
  """Patches of an image, [N, D], and the mixture fitted to them."""
  dense = patches.extract_patches(jnp.asarray(image), patch_size=_PATCH_SIZE)
  vectors = dense.reshape(-1, dense.shape[-1])
  mixture = fit_gaussian_mixture(
    key,
    vectors,
    noise_std=1e-3,
    num_components=_NUM_COMPONENTS,
    max_dimensions=vectors.shape[1],
  )
  return np.asarray(vectors), mixture


def _between(
  model: GaussianMixtureDenoiser, codes: jax.Array, sigmas: jax.Array
) -> np.ndarray:
  """Patches between pairs of encodings, [pairs, fractions, D]."""
  first, second = codes[:_NUM_SHOWN], codes[_NUM_SHOWN : 2 * _NUM_SHOWN]
  fractions = jnp.linspace(0, 1, _NUM_BETWEEN)
  mixed = jax.vmap(
    lambda f: spherical_interpolation(first, second, f), out_axes=1
  )(fractions)
  flat = mixed.reshape(-1, mixed.shape[-1])
  return np.asarray(_decode(model, flat, sigmas)).reshape(mixed.shape)


_decode = jax.jit(decode)


def _image_there_and_back(
  key: jax.Array, image: np.ndarray, sigmas: jax.Array
) -> tuple[np.ndarray, np.ndarray]:
  """The encoding of an image, over sigma_max, and the decoded image."""
  prior = fit_mixture_prior(
    key,
    jax.device_put(image),
    noise_std=1e-3,
    patch_size=_PATCH_SIZE,
    num_components=_NUM_COMPONENTS,
    stride=2,
  )
  code, decoded = _there_and_back(prior, jnp.asarray(image)[None], sigmas)
  return np.asarray(code[0]) / _SIGMA_MAX, np.asarray(decoded[0])


def _decibels(found: jax.Array, exact: jax.Array) -> np.ndarray:
  """Peak signal-to-noise ratio of each patch, [N]."""
  error = jnp.mean((found - exact) ** 2, axis=-1)
  return np.asarray(10 * jnp.log10(4 / jnp.maximum(error, 1e-12)))


@figures.own_style
def _points_picture(
  mixture: GaussianMixtureDenoiser, cloud: np.ndarray, noise: np.ndarray
) -> figures.Figure:
  apart = ((cloud[:, None] - np.asarray(mixture.means)[None]) ** 2).sum(axis=-1)
  component = apart.argmin(axis=1)
  figure = figures.new_figure(8, 4, title='Points and their encodings')
  shown = ((cloud, 'points'), (noise, 'encodings'))
  for ax, (values, title) in zip(figure.subplots(1, 2), shown, strict=True):
    for index in range(3):
      ax.plot(*values[component == index].T, '.', markersize=2)
    ax.set(title=title, aspect='equal')
  return figure


@figures.own_style
def _between_picture(between: np.ndarray, ends: np.ndarray) -> figures.Figure:
  fractions = np.linspace(0, 1, _NUM_BETWEEN)[:, None]
  rows = []
  for index, row in enumerate(between):
    first, second = ends[index], ends[index + _NUM_SHOWN]
    rows += [row, (1 - fractions) * first + fractions * second]
  squares = np.concatenate(rows).reshape(-1, _PATCH_SIZE, _PATCH_SIZE, 3)
  figure = figures.new_figure(6, 7.5, title='Between two patches')
  grid = image_io.make_grid(
    np.clip(squares, -1, 1), num_columns=_NUM_BETWEEN, zoom=6
  )
  figures.show_image(figure.subplots(), grid, 'encodings, then blends, in turn')
  return figure


@figures.own_style
def _image_picture(image: np.ndarray, decoded: np.ndarray) -> figures.Figure:
  figure = figures.new_figure(9, 3.6, title='There and back again')
  axes = figure.subplots(1, 2)
  figures.show_image(axes[0], image, 'image')
  figures.show_image(
    axes[1], decoded, f'decoded, {psnr(decoded, image):.1f} dB'
  )
  return figure
