"""What is written of a flow: files and figures."""

import pathlib

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion import figures
from internal_diffusion.applications import pixel_flow
from internal_diffusion.applications.flow import Flow
from internal_diffusion.applications.flow_model import FlowModel, Frame
from internal_diffusion.data import flow_io, image_io, warp

Array = jax.Array

_KITTI_RANGE = 512.0  # Its format holds vectors shorter than this, in pixels.
_NUM_ELLIPSES = 12  # Along the longer side.
_NUM_FRAMES = 9  # Of the animation, there.
_MODE_SAMPLES = 8  # For each pixel: the densest is its mode.
_POINT_SAMPLES = 200
_GRID = 41  # Points of a density along an axis.
_GRID_REACH = 2.5  # In prior standard deviations.


def write_flow_files(
  directory: pathlib.Path, first: np.ndarray, second: np.ndarray, flow: Flow
) -> None:
  """Writes the flow, pictures of it and of how sure it is.

  Args:
    directory: Where to.
    first: The frame that it starts from, [H, W, C] in [-1, 1].
    second: The frame that it leads to.
    flow: The flow.
  """
  flow_io.write_flow(directory / 'flow.flo', flow.mean)
  if np.abs(flow.mean).max() < _KITTI_RANGE:
    flow_io.write_flow(directory / 'flow_kitti.png', flow.mean)
  figures.write_or_warn(
    directory / 'flow.png',
    figures.flow_figure,
    {'flow': flow.mean},
    image=first,
    title='Flow from the first frame to the second',
  )
  spread = np.sqrt(np.trace(flow.covariance, axis1=-2, axis2=-1))
  figures.write_or_warn(
    directory / 'confidence.png',
    figures.heat_maps,
    {'standard deviation': spread},
    image=first,
    title='Uncertainty of the flow',
    label='pixels',
  )
  _write_ellipses(directory, first, flow)
  warped, inside = warp.warp(jnp.asarray(second), jnp.asarray(flow.mean))
  figures.write_or_warn(
    directory / 'warp_check.png',
    figures.warp_check,
    first,
    second,
    np.asarray(warped).clip(-1, 1),
    inside=np.asarray(inside),
    title='Second frame warped to the first by the flow',
  )
  frames = warp.frames_between(
    jnp.asarray(first),
    jnp.asarray(second),
    jnp.asarray(flow.mean),
    num_frames=_NUM_FRAMES,
  )
  image_io.write_animation(
    directory / 'motion.gif',
    list(figures.back_and_forth(np.asarray(frames))),
    seconds=0.08,
  )


def modes(
  key: Array, model: FlowModel, first: Frame, second: Frame, flow: Flow
) -> np.ndarray:
  """Where every pixel's own samples are densest, (u, v), [H, W, 2]."""
  height, width = flow.mean.shape[:2]
  y, x = np.indices((height, width)).reshape(2, -1)
  samples = pixel_flow.sample_pixels(
    key,
    model,
    first.grey[0],
    second.grey[0],
    jnp.asarray(flow.mean),
    points=np.stack([x, y], axis=-1),
    num_samples=_MODE_SAMPLES,
  )
  return pixel_flow.densest(samples).reshape(height, width, 2)


def write_points(
  key: Array,
  directory: pathlib.Path,
  model: FlowModel,
  first: Frame,
  second: Frame,
  flow: Flow,
  points: np.ndarray,
) -> None:
  """Draws the densities and samples of single pixels, into points.png.

  Args:
    key: Of the samples.
    directory: Where to.
    model: What knows of displacements.
    first: The frame that the flow starts from.
    second: The frame that it leads to.
    flow: The flow.
    points: Pixels (x, y), [N, 2].
  """
  frames = first.grey[0], second.grey[0], jnp.asarray(flow.mean)
  samples = pixel_flow.sample_pixels(
    key, model, *frames, points=points, num_samples=_POINT_SAMPLES
  )
  axis = np.linspace(-_GRID_REACH, _GRID_REACH, _GRID) * model.stddev
  grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
  around = flow.mean[points[:, 1], points[:, 0]]
  candidates = around[:, None] + grid
  density = pixel_flow.log_density(
    model, *frames, points=points, candidates=candidates
  )
  figures.write_or_warn(
    directory / 'points.png',
    figures.densities,
    {
      f'pixel {x}:{y}': figures.Density(
        candidates[i].reshape(_GRID, _GRID, 2),
        density[i].reshape(_GRID, _GRID),
        samples[i],
      )
      for i, (x, y) in enumerate(points)
    },
    title='Posterior density of the flow of single pixels',
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


def _write_ellipses(
  directory: pathlib.Path, first: np.ndarray, flow: Flow
) -> None:
  points, step = ellipse_centres(flow.mean.shape[:2])
  covariances = flow.covariance[points[:, 1], points[:, 0]]
  # The typical ellipse is a fifth of the way to the next one.
  typical = np.sqrt(np.median(np.linalg.eigvalsh(covariances)[:, -1]))
  magnification = max(1.0, round(step / 10 / max(typical, 1e-3)))
  figures.write_or_warn(
    directory / 'ellipses.png',
    figures.ellipses,
    first,
    points,
    covariances,
    title='Uncertainty of the flow by direction',
    magnification=magnification,
  )
