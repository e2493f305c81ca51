"""Super-resolution: `mean` is trained first, what it leaves then.

`deviation` says how far the truth lies from the mean, `rest` is what samples
are drawn from, in units of that.

  idiff-upscale --image=small.png --factor=2 --out=out/

The presets differ in how long the networks train. On two CPU cores, with eight
samples of a small image and compilation, they are meant to take

  fast     half a minute: 11 seconds of training
  default  two minutes: a minute and a half of training
  best     six minutes: five minutes of training

`fast` misses that: about 40 seconds for 128x128 pixels at x2, half of them
imports and compilation. The others have been measured on one core only.

What is learnt is applied to an image, or to a result, whose finest detail is
smoother than that of the smaller versions it is learnt from. So the own result
is learnt from too, made anew every few seconds: with rounds.
"""

import ml_collections

from internal_diffusion.configs import default

# Minutes of training of (mean, deviation, rest), on two CPU cores, and rounds.
PRESETS = {
  'fast': ((0.13, 0.02, 0.03), 5),
  'default': ((1.15, 0.1, 0.2), 30),
  'best': ((4.2, 0.2, 0.6), 100),
}
_TRAINED = ('mean', 'deviation', 'rest')


def get_config(
  *,
  preset: str = 'default',
  minutes: float | None = None,
  factor: float = 2.0,
) -> ml_collections.ConfigDict:
  """The configuration of a preset.

  Args:
    preset: Its name.
    minutes: Of training, of both networks together, instead of the preset's.
    factor: By which images will be upscaled.

  Raises:
    ValueError: If there is none of that name, or the minutes are not positive.
  """
  if preset not in PRESETS:
    raise ValueError(
      f'The preset must be one of {", ".join(PRESETS)}, got {preset!r}.'
    )
  each, num_rounds = PRESETS[preset]
  share = 1.0
  if minutes is not None:
    if not 0 < minutes < float('inf'):
      raise ValueError(f'`minutes` must be above 0, got {minutes}.')
    share = minutes / sum(each)
  config = ml_collections.ConfigDict()
  config.source_size = 9  # Side of a source patch, in low pixels, odd.
  config.reach = 1  # How many low pixels around its own a block covers.
  # Up to x2 a third of them: the own result is larger, so each takes longer.
  config.num_rounds = num_rounds if factor > 2 else max(1, num_rounds // 3)

  config.closed_form = ml_collections.ConfigDict()
  config.closed_form.num_pairs = 16384  # How many are looked up.
  config.closed_form.sigma_aug = 0.35  # Bandwidth, in features.

  for name, own in zip(_TRAINED, each, strict=True):
    config[name] = default.get_config()
    config[name].num_steps, config[name].max_minutes = 0, share * own

  config.mean.batch_size = 256
  config.mean.network.width = 256
  config.mean.optimizer.learning_rate = 3e-3
  config.mean.optimizer.warmup_steps = 100

  config.deviation.batch_size = 256
  config.deviation.network.width, config.deviation.network.depth = 128, 2
  config.deviation.optimizer.learning_rate = 2e-3
  config.deviation.optimizer.warmup_steps = 100

  config.rest.batch_size = config.rest.num_references = 256
  config.rest.network.width, config.rest.network.depth = 128, 2
  config.rest.optimizer.learning_rate = 2e-3
  config.rest.noise.sigma_min = 0.02
  config.rest.noise.sigma_max = 20.0
  return config


def set_seed(config: ml_collections.ConfigDict, seed: int) -> None:
  """Sets the seed of everything that is trained."""
  for name in _TRAINED:
    config[name].seed = seed
