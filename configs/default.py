"""Every field of a training configuration, with its default.

The other files of this folder override some of them; a command line overrides
any of them, as in --config.network.width=256.
"""

import ml_collections


def get_config() -> ml_collections.ConfigDict:
  """The defaults; `image` alone has none."""
  config = ml_collections.ConfigDict()

  config.image = ''  # Path of the photograph; the one field that must be given.
  config.max_side = 250  # Bound on its longest side, in pixels; 0 is no bound.
  config.channels = 0  # 3 is RGB, 1 is grey, 0 is what the file holds.
  config.seed = 0  # Seed of everything random in the run.

  config.pyramid = ml_collections.ConfigDict()
  config.pyramid.scale_factor = 0.75  # Size of a level over the next finer.
  config.pyramid.min_side = 20  # Smallest side of the coarsest level, pixels.
  # A level is drawn in proportion to its number of patches to this power: at 1
  # all patches of the pyramid are equally likely, at 0 all levels are.
  config.pyramid.level_power = 1.0

  config.patch_size = 7  # Side P of a patch, in pixels, odd.

  # What is generated and what is given: 'patch', 'target_given_source',
  # 'delta_given_pair' or 'joint' (internal_diffusion/data/distributions.py).
  config.distribution = 'patch'
  config.triplet = ml_collections.ConfigDict()
  # Lowest and highest displacement from source to target, in whole pixels of
  # the source's level.
  config.triplet.vertical = (0, 0)
  config.triplet.horizontal = (0, 0)
  # Levels from source to target: 0 is the same, 1 the next coarser, -1 the next
  # finer one.
  config.triplet.level_steps = (0,)
  config.triplet.subpixel = False  # Whether targets lie between pixels too.
  config.triplet.dihedral = False  # Whether to turn and mirror at random.

  config.condition = ml_collections.ConfigDict()
  # Noise level of the condition in training. With a maximum above 0 it is drawn
  # log-uniformly between the two and told to the network.
  config.condition.sigma_aug = 0.0
  config.condition.sigma_aug_max = 0.0
  # Share of the samples whose condition is left out, for guidance.
  config.condition.dropout = 0.0

  config.network = ml_collections.ConfigDict()
  config.network.width = 320  # Width of the residual stream.
  config.network.depth = 3  # Number of residual blocks.
  config.network.embedding_dim = (
    64  # Embedding of noise level and pyramid level.
  )
  config.network.compute_dtype = 'float32'  # Or 'bfloat16', for GPU and TPU.

  # How the network's output makes a denoiser: 'wiener' is EDM with the standard
  # deviation of each principal component, 'edm' with one for all; or the
  # prediction of a process: 'vp_eps', 'vp_v', 've_score', 'flow' (velocity).
  config.parametrization = 'wiener'

  config.noise = ml_collections.ConfigDict()
  # Draw of the noise level in training: ln sigma is 'lognormal' with this mean
  # and standard deviation, or 'loguniform' from sigma_min to sigma_max.
  config.noise.draw = 'loguniform'
  config.noise.log_mean = -1.2
  config.noise.log_std = 1.8
  config.noise.sigma_min = 0.002  # Lowest level that is sampled.
  config.noise.sigma_max = 40.0  # Highest level that is sampled.

  config.optimizer = ml_collections.ConfigDict()
  config.optimizer.name = 'adam'  # 'adam', 'adamw', 'muon' or 'sgd'.
  config.optimizer.learning_rate = 3e-3  # Peak, after the warm-up.
  config.optimizer.warmup_steps = 200  # Linear; then a cosine decay to 0.
  config.optimizer.weight_decay = 0.0  # Of 'adamw' and 'muon'.
  config.optimizer.clip_norm = 1.0  # Bound on the gradient's norm; 0 is none.
  config.ema_decay = 0.99  # Of the averaged parameters, per step.

  config.batch_size = 768  # Patches in a step, over all devices.
  # Patches in a step that targets are averages over, at least `batch_size`;
  # more make less noisy targets at the price of more arithmetic. At 0 a target
  # is its own patch.
  config.num_references = 768
  config.num_devices = 0  # How many to train on; 0 is all there are.
  # The run ends after so many steps or minutes, whichever comes first; 0 is no
  # bound. The learning rate decays towards whichever end is in sight.
  config.num_steps = 4600
  config.max_minutes = 0.0
  config.steps_per_call = 50  # Steps in one compiled call, between two logs.

  config.checkpoint = ml_collections.ConfigDict()
  config.checkpoint.every_steps = 1000  # How often one is saved.
  config.checkpoint.keep = 2  # How many of the newest are kept.

  config.sampling = ml_collections.ConfigDict()
  config.sampling.num_steps = 36  # Heun steps; two evaluations each.
  config.sampling.rho = 7.0  # Karras et al.'s grid exponent.
  config.sampling.s_churn = 0.0  # Fresh noise over all steps; 0 is none.

  return config
