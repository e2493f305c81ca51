"""Optical flow: what is learnt from the first frame, and how flow is found.

  idiff-flow --frames=a.png,b.png --out=out/

Lengths are in pixels of a pyramid level, brightness is in [-1, 1].
"""

import ml_collections

from internal_diffusion.configs import default


def get_config(*, minutes: float = 1.0) -> ml_collections.ConfigDict:
  """The configuration.

  Args:
    minutes: Of training.

  Raises:
    ValueError: If they are not positive.
  """
  if not 0 < minutes < float('inf'):
    raise ValueError(f'`minutes` must be above 0, got {minutes}.')
  config = ml_collections.ConfigDict()
  config.patch_size = 9  # Side of a patch, odd.
  config.min_side = 24  # Shortest side of the coarsest level, at least.
  # Smoothing of the frames before all else, a standard deviation: what is
  # finer cannot be interpolated.
  config.smoothing = 0.5

  config.num_fields = 12  # Moved frames for each level.
  config.stddev = 1.0  # Of each component of a displacement.
  config.sensor_noise = (0.002, 0.05)  # Lowest and highest level of both.
  config.gain = 0.05  # Standard deviation of the target's.
  config.denoising_weight = 0.2  # Of the denoising loss beside the likelihood.

  config.num_warps = 3  # How often the second frame is warped, each level.
  config.smoothness = 0.5  # See sampling/gaussian_field.py.
  config.softness = 0.01
  config.edge_contrast = 0.1
  config.slope_scale = 8.0
  config.slope_contrast = 0.1
  # Neighbouring patches see the same pixels: what the product of their
  # likelihoods counts each one as.
  config.evidence_share = 0.03

  config.closed_form = ml_collections.ConfigDict()
  config.closed_form.block_size = 7  # Side of a block, odd.
  config.closed_form.reach = 1  # Largest displacement along an axis.
  config.closed_form.steps_per_pixel = 4  # Of the grid of displacements.
  # Lowest and highest bandwidth; in between, it is the noise of the frames.
  config.closed_form.sigma_aug = (0.02, 0.1)

  config.train = default.get_config()
  config.train.num_steps, config.train.max_minutes = 0, minutes
  config.train.batch_size = 1024
  config.train.network.width = 256
  config.train.network.depth = 2
  config.train.optimizer.learning_rate = 1e-3
  config.train.optimizer.warmup_steps = 100
  config.train.noise.sigma_min = 0.01
  config.train.noise.sigma_max = 20.0
  return config
