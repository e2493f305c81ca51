"""The fields of a training configuration: `PatchOptions`, and the image.

`idiff-train --help` lists them with their defaults. The other files of this
folder override some of them; a command line overrides any of them, as in
--config.network.width=256.
"""

import ml_collections

from internal_diffusion import options as options_lib
from internal_diffusion.applications.patches import PatchOptions


def get_config() -> ml_collections.ConfigDict:
  """p(patch) with its defaults; `image` alone has none."""
  return from_options(PatchOptions())


def from_options(options: PatchOptions) -> ml_collections.ConfigDict:
  """The configuration of options."""
  config = ml_collections.ConfigDict(options_lib.to_dict(options))
  config.image = ''  # Path of the photograph; must be given.
  config.max_side = 250  # Bound on its longest side in pixels; 0 is no bound.
  config.channels = 0  # 3 is RGB, 1 is grey, 0 is what the file has.
  return config


def to_options(config: ml_collections.ConfigDict) -> PatchOptions:
  """The options of a configuration.

  Raises:
    ValueError: If a value is out of its range.
  """
  values = config.to_dict()
  for name in ('image', 'max_side', 'channels'):
    values.pop(name)
  return options_lib.replace(PatchOptions(), **values)
