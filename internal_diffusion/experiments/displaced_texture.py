"""Many textures beside one grey source: one to many through displacement.

Strips of grey and of texture take turns. A grey patch and the displacement to
the next strip leave open which part of the texture is there.
"""

from internal_diffusion.data import synthetic
from internal_diffusion.experiments import one_to_many
from internal_diffusion.experiments.result import Result
from internal_diffusion.training import examples as examples_lib
from internal_diffusion.training.fit import fit

_NUM_STEPS = 4500
_NUM_SAMPLES = 20_000


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
  config.seed = seed
  config.num_steps = max(1, round(effort * _NUM_STEPS))
  examples = examples_lib.from_levels([image], config)
  model = fit(examples, config, progress=progress)
  return one_to_many.study(
    seed,
    examples,
    model,
    image,
    num_samples=max(256, round(effort * _NUM_SAMPLES)),
  )
