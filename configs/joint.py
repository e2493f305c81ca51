r"""p(source, target, delta): the joint distribution and its conditionals.

  idiff-train --config=configs/joint.py --config.image=photo.png \
    --workdir=runs/joint

A third of the samples is trained with nothing given, a third with source and
delta, a third with source and target, so one model answers the queries of all
the others. 6000 steps take about six minutes on two CPU cores.
"""

import ml_collections

from internal_diffusion.configs import delta_given_pair


def get_config() -> ml_collections.ConfigDict:
  """As p(delta | source, target), for longer."""
  config = delta_given_pair.get_config()
  config.distribution = 'joint'
  config.num_steps = 6000
  return config
