"""Learning how a pair is measured: its windows, and how large errors are.

The windows are those of the pair's own field. The errors are those of pairs
with known fields made of it (`pseudo_pairs`), so their truth is known.
"""

import os
from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from scipy import special
from tqdm import tqdm

from internal_diffusion.applications.measurement import (
  calibration,
  frames,
  posterior_mode,
  refine,
  signs,
)
from internal_diffusion.applications.measurement.checks import check_pair
from internal_diffusion.applications.measurement.kinds import Kind, find_kind
from internal_diffusion.applications.measurement.model import MeasurementModel
from internal_diffusion.applications.measurement.options import (
  MeasurementOptions,
)
from internal_diffusion.applications.measurement.pseudo_pairs import (
  pseudo_pair,
  random_truth,
)
from internal_diffusion.applications.measurement.smooth_field import SplineGrid
from internal_diffusion.jax_settings import with_own_settings
from internal_diffusion.training import model_files

_MAX_SIDE = 512  # Part of large frames that is learnt from, in pixels.
_CONFIDENCES = np.array([0.1, 0.3, 0.5, 0.68, 0.8, 0.9, 0.95, 0.99])


class _Errors(NamedTuple):
  """Known errors [2, N] of a pair, their signs [3, 2, N] and slopes [2, 2].

  The slopes are mean squares of the derivatives of (u, v) along (x, y).
  """

  errors: np.ndarray
  signs: np.ndarray
  slopes: np.ndarray


@with_own_settings
def learn_measurement(
  first: np.ndarray,
  second: np.ndarray,
  options: MeasurementOptions | None = None,
  *,
  ignored: np.ndarray | None = None,
  workdir: str | os.PathLike | None = None,
  progress: bool = False,
) -> MeasurementModel:
  """Learns how pairs like this one are measured.

  Args:
    first: First frame, [H, W, C] in [-1, 1].
    second: Second frame, of the same shape.
    options: Options; None is the defaults.
    ignored: Mask of pixels not to measure, [H, W] booleans; None is none.
    workdir: Folder of the model. A model in it is returned and nothing is
      learnt; else the new model is saved to it. None keeps nothing.
    progress: Whether to show a progress bar.

  Raises:
    ValueError: If a frame or the mask is wrong, or nothing can be measured.
  """
  options = MeasurementOptions() if options is None else options
  if workdir is not None and model_files.has_model(workdir):
    return model_files.load(workdir, MeasurementModel)
  planes = check_pair(first, second, ignored)
  kind = find_kind(first) if options.kind == Kind.AUTO else options.kind
  rng = np.random.default_rng(options.seed)
  pair = _middle(frames.flatten_pair(*planes, ignored))
  found = _measure(rng, pair, options)
  if not found.residuals.precision.any():
    raise ValueError('`first` and `second` must show something that moves.')
  pairs = [
    _known_errors(rng, found, kind)
    for _ in tqdm(
      range(options.num_pairs + 1), desc='calibration', disable=not progress
    )
  ]
  model = _fit(rng, pairs, found.window, kind)
  if workdir is not None:
    model_files.save(workdir, model, options=options)
  return model


def _middle(pair: frames.FramePair) -> frames.FramePair:
  """The middle of a large pair."""
  parts = []
  for side in pair.first.shape:
    start = max(0, (side - _MAX_SIDE) // 2)
    parts.append(slice(start, start + _MAX_SIDE))
  return frames.FramePair(*(part[tuple(parts)] for part in pair))


def _measure(
  rng: np.random.Generator,
  pair: frames.FramePair,
  options: MeasurementOptions,
) -> refine.Refined:
  grid = SplineGrid(*pair.first.shape)
  bounds = np.array([[options.min_window] * 2, [options.max_window] * 2])
  return posterior_mode.find_mode(rng, pair, grid, bounds)


def _known_errors(
  rng: np.random.Generator, refined: refine.Refined, kind: Kind
) -> _Errors:
  """Errors on one pair with a known field."""
  truth = random_truth(rng, refined)
  pair = pseudo_pair(rng, refined, truth, is_rigid=kind == Kind.PARTICLES)
  windows = np.stack([refined.window] * 2)
  found = refine.refine(
    rng, pair, refined.grid, refined.coefficients, windows, is_near=True
  )
  error, seen = found.field - truth, found.residuals.visible
  steps = [np.gradient(error, axis=axis)[:, seen] for axis in (2, 1)]
  return _Errors(
    error[:, seen],
    signs.error_signs(found)[:, :, seen],
    np.stack([np.mean(step**2, axis=1) for step in steps], axis=1),
  )


def _fit(
  rng: np.random.Generator,
  pairs: Sequence[_Errors],
  windows: np.ndarray,
  kind: Kind,
) -> MeasurementModel:
  """The model of known errors; the last pair judges a fit to the others."""

  def fit(chosen: Sequence[_Errors]) -> calibration.ErrorModel:
    return calibration.fit_error_model(
      rng,
      np.concatenate([pair.signs for pair in chosen], axis=2),
      np.concatenate([pair.errors for pair in chosen], axis=1),
    )

  last = pairs[-1]
  deviation = np.sqrt(fit(pairs[:-1]).variance(last.signs))
  bounds = np.sqrt(2) * special.erfinv(_CONFIDENCES)
  held = np.abs(last.errors / deviation)[..., None] <= bounds
  model = fit(pairs)
  variances = [model.variance(pair.signs).mean(axis=1) for pair in pairs]
  expected = np.mean(variances, axis=0) / windows**2
  slopes = np.mean([pair.slopes for pair in pairs], axis=0)
  return MeasurementModel(
    windows=jnp.asarray(windows, jnp.float32),
    weights=jnp.asarray(model.weights, jnp.float32),
    slopes=jnp.asarray(slopes / expected[:, None], jnp.float32),
    nominal=jnp.asarray(_CONFIDENCES, jnp.float32),
    coverage=jnp.asarray(held.mean(axis=1), jnp.float32),
    kind=str(kind),
  )
