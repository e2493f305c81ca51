"""Many fine patches for one grey source: an image that is grey at half size.

Its blocks of 2x2 pixels have mean 0, so all source patches on the coarse level
are equal and carry no information: p(target | source, one level finer) must be
the distribution of all fine patches at that position within a coarse pixel.
"""

from internal_diffusion.data import synthetic
from internal_diffusion.experiments import one_to_many
from internal_diffusion.experiments.result import Result

_NUM_STEPS = 2000


def run(seed: int, *, effort: float = 1.0, progress: bool = False) -> Result:
  """Trains, draws 20,000 targets and compares them with all true ones.

  Args:
    seed: Seed of everything random.
    effort: Fraction of the full number of steps and samples, for a quick look.
    progress: Whether to show progress bars.
  """
  image = synthetic.bands(
    (32, 24, 16, 16, 8),
    (
      synthetic.vertical_stripes,
      synthetic.horizontal_stripes,
      synthetic.fine_checks,
      synthetic.paired_columns,
      synthetic.paired_rows,
    ),
    width=96,
  )
  return one_to_many.study(
    [image, synthetic.block_means(image)],
    one_to_many.study_options(),
    seed=seed,
    num_steps=_NUM_STEPS,
    effort=effort,
    progress=progress,
  )
