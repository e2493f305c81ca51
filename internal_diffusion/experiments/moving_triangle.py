"""Displacement between two frames and its uncertainty, learned from the first.

A textured triangle moves by a fraction of a pixel over a background without
texture. A model of p(delta | source, target) is trained on pairs of patches of
the first frame alone. Then the source is the first frame's patch at a pixel and
the target the second frame's at the same pixel: had the target come from the
first frame, it would lie at minus the motion.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import scipy.ndimage

from internal_diffusion import figures
from internal_diffusion.applications.patches import (
  PatchOptions,
  delta_given_pair_options,
  sample_vectors,
)
from internal_diffusion.data import distributions, patches, synthetic, triplets
from internal_diffusion.denoisers.learned import LearnedDenoiser
from internal_diffusion.evaluation.flow_error import endpoint_error
from internal_diffusion.evaluation.sparsification import rank_correlation
from internal_diffusion.experiments.result import Measure, Result
from internal_diffusion.experiments.training import scaled, train
from internal_diffusion.options import replace

_NUM_STEPS = 7000
_NUM_SAMPLES = 10
_MOTION = (0.7, -1.6)
_RANGE = (-2, 2)


def run(seed: int, *, effort: float = 1.0, progress: bool = False) -> Result:
  """Trains on the first frame and infers the motion to the second."""
  first, second, inside = synthetic.triangle_frames(seed, displacement=_MOTION)
  options = replace(
    delta_given_pair_options(),
    seed=seed,
    num_steps=scaled(_NUM_STEPS, effort),
    triplet={'vertical': _RANGE, 'horizontal': _RANGE, 'subpixel': True},
    condition={'sigma_aug': 0.02},
    noise={'sigma_min': 0.005, 'sigma_max': 5.0},
    batch_size=512,
    optimizer={'learning_rate': 5e-3},
  )
  model, _ = train([first], options, progress=progress)
  num = scaled(_NUM_SAMPLES, effort, at_least=2)
  key = jax.random.key(seed)
  flow = sample_flow(key, model, options, first, second, num=num)
  # Patch centres, where flow is known; the motion is that of the pixel.
  margin = options.patch_size // 2
  inside = inside[margin:-margin, margin:-margin]
  truth = inside.round()[..., None] * np.array(_MOTION)
  return Result(
    measures=_measures(flow, truth, inside),
    samples={'first': first, 'second': second, 'flow': flow, 'truth': truth},
    pictures={
      'flow': (
        functools.partial(_picture, first, second, flow, truth),
        'Motion of a textured triangle: one sample, the mean of ten, the true'
        ' motion, and the spread of the samples.',
      )
    },
  )


def sample_flow(
  key: jax.Array,
  model: LearnedDenoiser,
  options: PatchOptions,
  first: np.ndarray,
  second: np.ndarray,
  *,
  num: int,
) -> np.ndarray:
  """Samples of the motion at patch centres, [num, h, w, 2] as (dy, dx)."""
  source, target = (
    patches.extract_patches(jnp.asarray(frame), patch_size=options.patch_size)
    for frame in (first, second)
  )
  shape, dim = source.shape[:2], source.shape[-1]
  source, target = (
    jnp.tile(part.reshape(-1, dim), (num, 1)) for part in (source, target)
  )
  cond = distributions.make_condition(
    model.layout, source=source, target=target
  )
  drawn = sample_vectors(key, model, options, cond, chunk_size=4096)
  displacement = triplets.displacement_of(
    jnp.asarray(drawn), displacement_range=options.triplet.displacement_range
  )
  return -np.asarray(displacement).reshape(num, *shape, 2)


def _spread(flow: np.ndarray) -> np.ndarray:
  """Root of the summed variance over the samples, [h, w] in pixels."""
  return np.sqrt(flow.var(axis=0, ddof=1).sum(axis=-1))


def _measures(
  flow: np.ndarray, truth: np.ndarray, inside: np.ndarray
) -> dict[str, Measure]:
  of_mean = endpoint_error(flow.mean(axis=0), truth)
  of_one = endpoint_error(flow[0], truth)
  spread = _spread(flow)
  # Well inside or well outside, so that no patch sees both.
  textured, plain = _core(inside > 0.99), _core(inside < 0.01)
  return {
    'end-point error on texture, mean of 10, pixels': Measure(
      float(of_mean[textured].mean()), at_most=0.10
    ),
    'end-point error on texture, one sample, pixels': Measure(
      float(of_one[textured].mean()), at_most=0.20
    ),
    'rank correlation of spread and error over the image': Measure(
      rank_correlation(spread, of_one), at_least=0.6
    ),
    'rank correlation of spread and error of the mean': Measure(
      rank_correlation(spread, of_mean)
    ),
    'spread on the plain background, pixels': Measure(
      float(spread[plain].mean())
    ),
    'spread on texture, pixels': Measure(float(spread[textured].mean())),
  }


def _core(mask: np.ndarray) -> np.ndarray:
  """Pixels whose whole 7x7 patch is in the mask, and was before the motion."""
  reach = 3 + int(np.ceil(max(map(abs, _MOTION))))
  return scipy.ndimage.minimum_filter(mask, 2 * reach + 1, mode='nearest')


@figures.own_style
def _picture(
  first: np.ndarray, second: np.ndarray, flow: np.ndarray, truth: np.ndarray
) -> figures.Figure:
  figure = figures.new_figure(
    13,
    7,
    title='Motion inferred from one frame: a textured triangle moves by'
    f' dy {_MOTION[0]:g}, dx {_MOTION[1]:g} pixels',
  )
  grid = figure.subplots(3, 4)
  figures.show_image(grid[0, 0], first, 'first frame')
  figures.show_image(grid[0, 1], second, 'second frame')
  for ax, values, title in (
    (grid[0, 2], _spread(flow), 'spread of the samples'),
    (grid[0, 3], endpoint_error(flow[0], truth), 'error of one sample'),
  ):
    figure.colorbar(ax.imshow(values, cmap='magma'), ax=ax, label='pixels')
    ax.set_title(title)
  mean = flow.mean(axis=0)
  panels = {'one sample': flow[0], 'mean of 10': mean, 'truth': truth}
  inside = abs(truth).sum(axis=-1) > 0
  limit = max(abs(end) for end in _RANGE)
  for axis, name in enumerate(('dy', 'dx')):
    for ax, (title, field) in zip(grid[axis + 1], panels.items(), strict=False):
      shown = ax.imshow(field[..., axis], cmap='RdBu', vmin=-limit, vmax=limit)
      ax.set_title(f'{name}: {title}')
    figure.colorbar(shown, ax=grid[axis + 1, 2], label='pixels')
    histogram = grid[axis + 1, 3]
    for mask, label in ((inside, 'triangle'), (~inside, 'background')):
      bins = np.linspace(-limit - 0.5, limit + 0.5, 91)
      density, _ = np.histogram(flow[:, mask, axis], bins, density=True)
      histogram.stairs(density, bins, label=label)
    histogram.axvline(_MOTION[axis], color='0.5', linestyle=':')
    histogram.set(title=f'{name}: all samples', xlabel='pixels')
    histogram.legend()
  for ax in grid[:, :3].ravel():
    ax.set_axis_off()
  grid[0, 3].set_axis_off()
  return figure
