"""Many textures beside one grey source: one to many through displacement.

Strips of grey and of texture alternate. A grey patch and the displacement to
the next strip do not determine which part of the texture is there.
"""

from internal_diffusion.data import synthetic
from internal_diffusion.experiments import one_to_many
from internal_diffusion.experiments.result import Result
from internal_diffusion.options import replace

_NUM_STEPS = 4500


def run(seed: int, *, effort: float = 1.0, progress: bool = False) -> Result:
  """Trains, draws 20,000 targets and compares them with all true ones.

  Args:
    seed: Seed of everything random.
    effort: Fraction of the full number of steps and samples, for a quick look.
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
  options = replace(
    one_to_many.study_options(),
    triplet={'level_steps': (0,), 'horizontal': (7, 7)},
  )
  return one_to_many.study(
    [image],
    options,
    seed=seed,
    num_steps=_NUM_STEPS,
    effort=effort,
    progress=progress,
  )
