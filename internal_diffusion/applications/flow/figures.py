"""Figures of an estimated flow."""

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion import figures
from internal_diffusion.applications.flow.inference import Flow
from internal_diffusion.applications.flow.model import FlowModel
from internal_diffusion.applications.flow.pixels import (
  log_density,
  sample_pixels,
)
from internal_diffusion.data import warp

Array = jax.Array

_NUM_ELLIPSES = 12  # Along the longer side.
_NUM_FRAMES = 9  # Frames of the animation from the first frame to the second.
_NUM_POINT_SAMPLES = 200
_GRID = 41  # Points of a density along an axis.
_GRID_REACH = 2.5  # In prior standard deviations.


def uncertainty_figure(first: np.ndarray, flow: Flow) -> figures.Figure:
  """Map of the flow's standard deviation beside the first frame [H, W, C]."""
  return figures.heat_maps(
    {'standard deviation': standard_deviation(flow)},
    title='Uncertainty of the flow',
    label='pixels',
    image=first,
  )


def standard_deviation(flow: Flow) -> np.ndarray:
  """Root of the trace of the covariance, in pixels, [H, W]."""
  return np.sqrt(np.trace(flow.covariance, axis1=-2, axis2=-1))


def ellipse_figure(first: np.ndarray, flow: Flow) -> figures.Figure:
  """Covariances as ellipses on a grid over the first frame [H, W, C]."""
  points, step = ellipse_centres(flow.mean.shape[:2])
  covariances = flow.covariance[points[:, 1], points[:, 0]]
  known = np.isfinite(covariances).all(axis=(1, 2))
  points, covariances = points[known], covariances[known]
  # The typical ellipse reaches a fifth of the way to the next one.
  typical = np.sqrt(np.median(np.linalg.eigvalsh(covariances)[:, -1]))
  return figures.ellipses(
    first,
    points,
    covariances,
    title='Uncertainty of the flow by direction',
    magnification=max(1.0, round(step / 10 / max(typical, 1e-3))),
  )


def ellipse_centres(size: tuple[int, int]) -> tuple[np.ndarray, float]:
  """Pixels (x, y) of a frame (H, W) on a square grid, [N, 2], and its step."""
  step = max(size) / _NUM_ELLIPSES
  rows, columns = (
    (step * (np.arange(max(1, int(side / step))) + 0.5)).astype(int)
    for side in size
  )
  grid = np.meshgrid(columns, rows)
  points = np.stack([part.ravel() for part in grid], axis=-1)
  return np.minimum(points, np.array(size[::-1]) - 1), step


def warp_figure(
  first: np.ndarray, second: np.ndarray, flow: Flow
) -> figures.Figure:
  """The second frame warped onto the first, [H, W, C] each, and its error."""
  warped, inside = warp.warp(jnp.asarray(second), jnp.asarray(flow.mean))
  return figures.warp_check(
    first,
    second,
    np.asarray(warped).clip(-1, 1),
    inside=np.asarray(inside),
    title='The second frame, warped by the flow',
  )


def motion_frames(
  first: np.ndarray, second: np.ndarray, flow: Flow
) -> list[np.ndarray]:
  """Frames of a looping animation of two frames [H, W, C]."""
  arguments = map(jnp.asarray, (first, second, flow.mean))
  frames = warp.frames_between(*arguments, num_frames=_NUM_FRAMES)
  return list(figures.back_and_forth(np.asarray(frames)))


def point_figure(
  key: Array,
  model: FlowModel,
  first: Array,
  second: Array,
  flow: Flow,
  points: np.ndarray,
) -> figures.Figure:
  """Densities and samples of the flow of pixels; see `sample_pixels`."""
  pair = first, second, flow.mean
  samples = sample_pixels(
    key, model, *pair, points=points, num_samples=_NUM_POINT_SAMPLES
  )
  axis = np.linspace(-_GRID_REACH, _GRID_REACH, _GRID) * model.stddev
  grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
  candidates = flow.mean[points[:, 1], points[:, 0]][:, None] + grid
  density = log_density(model, *pair, points=points, candidates=candidates)
  return figures.densities(
    {
      f'pixel {x}:{y}': figures.Density(
        candidates[i].reshape(_GRID, _GRID, 2),
        density[i].reshape(_GRID, _GRID),
        samples[i],
      )
      for i, (x, y) in enumerate(points)
    },
    title='Posterior of the flow of single pixels',
  )
