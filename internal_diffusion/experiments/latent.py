"""Diffusion in a latent space of larger patches.

Patches of 17 x 17 grey pixels are encoded by a variational autoencoder and by
principal components, with latents of several lengths: the curve of compression
against distortion. A diffusion model of the latents of one length, and one of
the pixels themselves, trained for as many steps, draw patches, which a
classifier compares with real ones.

A decoder's mean lacks the detail that the latent does not hold: a classifier
tells real patches from their own reconstructions. So patches are drawn from the
decoder's distribution (`denoisers.latent.GaussianDecoder`).
"""

import functools
import time
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import skimage.data

from internal_diffusion import figures
from internal_diffusion.data import image_io, patches
from internal_diffusion.denoisers.latent import (
  GaussianDecoder,
  PrincipalEncoder,
  VariationalEncoder,
)
from internal_diffusion.diffusion import schedules
from internal_diffusion.evaluation import patch_two_sample
from internal_diffusion.experiments import points
from internal_diffusion.experiments.result import Measure, Result
from internal_diffusion.experiments.training import scaled
from internal_diffusion.options import replace
from internal_diffusion.sampling import make_sample_fn
from internal_diffusion.training.denoising import fit_denoiser
from internal_diffusion.training.examples import point_examples
from internal_diffusion.training.latent import (
  fit_encoder,
  fit_gaussian_decoder,
)
from internal_diffusion.training.options import DenoiserOptions

_PATCH_SIZE = 17
_DIM = _PATCH_SIZE**2
_SIDE = 220
_LATENT_DIMS = (16, 48, 128)
_CHOSEN = 48  # Length of the latents that diffusion draws.
_NUM_ENCODER_STEPS, _NUM_STEPS = 1200, 1500
_NUM_SAMPLES = 1536
_SHOWN = 40


def run(seed: int, *, effort: float = 1.0, progress: bool = False) -> Result:
  """Encodes, then draws in latent and in pixel space."""
  real, held_out = _real_patches()
  encoders = _encoders(real, seed, effort, progress)
  curves = {
    name: [_psnr(encoder, held_out) for encoder in by_dim.values()]
    for name, by_dim in encoders.items()
  }
  decoders = {
    name: fit_gaussian_decoder(
      point_examples(real),
      _encoder_options(seed, effort),
      encoder=by_dim[_CHOSEN],
      progress=progress,
    ).model
    for name, by_dim in encoders.items()
  }
  num = scaled(_NUM_SAMPLES, effort, at_least=128)
  drawn, seconds = {}, {}
  for name in ('pixels', *decoders):
    drawn[name], seconds[name] = _draw(
      real, decoders.get(name), seed, effort, num, progress
    )
  chosen = np.random.default_rng(seed).permutation(len(real))
  first, second = real[chosen[:num]], real[chosen[num : 2 * num]]
  return Result(
    measures={
      **{
        f'{name}, {dim} numbers: decibels': Measure(value)
        for name, values in curves.items()
        for dim, value in zip(_LATENT_DIMS, values, strict=True)
      },
      **_accuracies(seed, drawn, decoders, first, second),
      **{
        f'{name}: seconds of sampling over those of pixels': Measure(
          value / seconds['pixels'], at_most=0.2
        )
        for name, value in seconds.items()
        if name != 'pixels'
      },
    },
    samples={f'drawn: {name}': found for name, found in drawn.items()},
    pictures={
      'compression': (
        functools.partial(_compression, curves),
        'Distortion of held-out patches over the length of the code.',
      ),
      'patches': (
        functools.partial(_patches, {'real': first, **drawn}),
        'Patches of 17 x 17 pixels drawn in pixel space and in latent spaces.',
      ),
    },
  )


def _encoder_options(seed: int, effort: float) -> DenoiserOptions:
  num_steps = scaled(_NUM_ENCODER_STEPS, effort, at_least=4)
  return replace(
    points.point_options(seed, sigma_aug=0.0, num_steps=num_steps),
    batch_size=256,
  )


def _encoders(
  real: np.ndarray, seed: int, effort: float, progress: bool
) -> dict[str, dict[int, PrincipalEncoder | VariationalEncoder]]:
  """Encoders of both kinds by the length of their latents."""
  found: dict[str, dict[int, PrincipalEncoder | VariationalEncoder]] = {
    'variational': {},
    'principal': {},
  }
  for dim in _LATENT_DIMS:
    found['variational'][dim] = fit_encoder(
      point_examples(real),
      _encoder_options(seed, effort),
      latent_dim=dim,
      noise_std=0.02,
      progress=progress,
    ).model
    found['principal'][dim] = PrincipalEncoder.create(real, latent_dim=dim)
  return found


def _accuracies(
  seed: int,
  drawn: Mapping[str, np.ndarray],
  decoders: Mapping[str, GaussianDecoder],
  first: np.ndarray,
  second: np.ndarray,
) -> dict[str, Measure]:
  """Accuracies of a classifier of real patches and of others."""

  def accuracy(found: np.ndarray) -> float:
    return _accuracy(seed, found, first)

  found = {'real patches: accuracy of a classifier': Measure(accuracy(second))}
  for name, decoder in decoders.items():
    z = _encode(decoder, jax.device_put(second))
    for kind, decoded in (
      ('mean', _decode(decoder, z)),
      ('draws', _sample(jax.random.key(seed), decoder, z)),
    ):
      found[f'{name}, {kind} of encoded patches: accuracy'] = Measure(
        accuracy(np.asarray(decoded))
      )
  pixels = accuracy(drawn['pixels'])
  for name, vectors in drawn.items():
    is_latent = name != 'pixels'
    found[f'{name}: accuracy of a classifier'] = Measure(
      accuracy(vectors) if is_latent else pixels,
      at_most=pixels + 0.03 if is_latent else None,
    )
  return found


def _real_patches() -> tuple[np.ndarray, np.ndarray]:
  """Patches of coffee in grey, fitted and held out, [N, D] each.

  The right quarter of the picture is held out.
  """
  photograph = skimage.data.coffee().astype(np.float32) / 127.5 - 1
  image = image_io.bound_side(
    photograph.mean(axis=-1, keepdims=True), max_side=_SIDE
  )
  cut = 3 * image.shape[1] // 4
  fitted, held_out = (
    np.asarray(
      patches.extract_patches(jnp.asarray(part), patch_size=_PATCH_SIZE)
    ).reshape(-1, _DIM)
    for part in (image[:, :cut], image[:, cut:])
  )
  return fitted, held_out


def _psnr(encoder: Any, vectors: np.ndarray) -> float:
  """Peak signal-to-noise ratio of decoded patches, in decibels."""
  x = jnp.asarray(vectors)
  error = jnp.mean((_decode(encoder, _encode(encoder, x)) - x) ** 2)
  return float(10 * jnp.log10(4 / error))


_encode = jax.jit(lambda encoder, x: encoder.encode(x))
_decode = jax.jit(lambda encoder, z: encoder.decode(z))
_sample = jax.jit(lambda key, decoder, z: decoder.sample(key, z))


def _options(seed: int, effort: float, *, width: int) -> DenoiserOptions:
  num_steps = scaled(_NUM_STEPS, effort, at_least=4)
  return replace(
    points.point_options(seed, sigma_aug=0.0, num_steps=num_steps),
    network={'width': width},
    batch_size=512,
    num_references=512,
    noise={'sigma_min': 0.01, 'sigma_max': 40.0},
    optimizer={'learning_rate': 3e-3},
  )


def _draw(
  real: np.ndarray,
  decoder: GaussianDecoder | None,
  seed: int,
  effort: float,
  num: int,
  progress: bool,
) -> tuple[np.ndarray, float]:
  """Patches [num, D] drawn in a space, and the seconds of drawing them."""
  data = real
  if decoder is not None:
    data = np.asarray(_encode(decoder, jnp.asarray(real)))
  # A latent is shorter than a patch, and so is its network narrower.
  width = 384 if decoder is None else 96
  model = fit_denoiser(
    point_examples(data),
    _options(seed, effort, width=width),
    progress=progress,
  ).model
  sample_fn = make_sample_fn(
    schedules.karras_sigmas(18, sigma_min=0.01, sigma_max=40.0),
    sample_shape=data.shape[1:],
    chunk_size=num,
  )

  def draw() -> np.ndarray:
    found = sample_fn(model, jax.random.key(seed), num_samples=num)
    if decoder is None:
      return found
    key = jax.random.fold_in(jax.random.key(seed), 1)
    return np.asarray(_sample(key, decoder, jnp.asarray(found)))

  draw()  # Compiles.
  start = time.perf_counter()
  found = draw()
  return found, time.perf_counter() - start


def _accuracy(seed: int, found: np.ndarray, real: np.ndarray) -> float:
  shape = (-1, _PATCH_SIZE, _PATCH_SIZE, 1)
  size = min(len(found), len(real))
  return patch_two_sample.perceptron_two_sample_test(
    jax.random.key(seed),
    found[:size].reshape(shape),
    real[:size].reshape(shape),
  ).accuracy


@figures.own_style
def _compression(curves: dict[str, list[float]]) -> figures.Figure:
  figure = figures.new_figure(5.5, 3.8, title='Compression and distortion')
  ax = figure.subplots()
  for name, values in curves.items():
    ax.plot(_LATENT_DIMS, values, 'o-', label=name)
  ax.set_xscale('log', base=2)
  ax.set(xlabel=f'numbers for {_DIM} pixels', ylabel='PSNR, decibels')
  ax.legend()
  return figure


def _patches(shown: dict[str, np.ndarray]) -> figures.Figure:
  return figures.named_patches(
    shown,
    title='Diffusion in latent spaces',
    num=_SHOWN,
    num_columns=_SHOWN // 2,
    zoom=2,
  )
