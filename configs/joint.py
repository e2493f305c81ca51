r"""p(source, target, delta): the joint distribution and its conditionals.

  idiff-train --config=configs/joint.py --config.image=photo.png \
    --workdir=runs/joint

One model answers the queries of all the others: two fifths of the samples are
trained with source and delta given, two fifths with source and target, one
fifth with nothing. 9000 steps take about six minutes on two CPU cores.
"""

import ml_collections

from internal_diffusion.configs import delta_given_pair


def get_config() -> ml_collections.ConfigDict:
  """As p(delta | source, target), for longer."""
  config = delta_given_pair.get_config()
  config.distribution = 'joint'
  # From where a displacement is sure to where a patch is hidden.
  config.noise.sigma_max = 40.0
  config.batch_size = config.num_references = 512
  config.num_steps = 9000
  return config
