"""Many textures beside one grey source: one to many through displacement.

Strips of grey and of texture take turns. A grey patch and the displacement to
the next strip leave open which part of the texture is there.
"""

from internal_diffusion.data import synthetic
from internal_diffusion.experiments import one_to_many
from internal_diffusion.experiments.result import Result

_NUM_STEPS = 4500


def run(seed: int, *, effort: float = 1.0, progress: bool = False) -> Result:
  """Trains, draws 20,000 targets and compares them with all true ones.

  Args:
    seed: Of everything random.
    effort: Share of the full number of steps and samples, for a quick look.
    progress: Whether to show progress bars.
  """
  texture = synthetic.bands(
    (48, 40, 28),
    (
      synthetic.vertical_stripes,
      synthetic.horizontal_stripes,
      synthetic.paired_rows,
    ),
    width=7,
  )
  image = synthetic.beside_grey(texture, num_repeats=6)
  config = one_to_many.get_config()
  config.triplet.level_steps = (0,)
  config.triplet.horizontal = (7, 7)
  return one_to_many.study(
    [image],
    config,
    seed=seed,
    num_steps=_NUM_STEPS,
    effort=effort,
    progress=progress,
  )
