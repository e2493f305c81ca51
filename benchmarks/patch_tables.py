"""Tables of the results of benchmarks/patch_quality.py."""

from typing import Any

from benchmarks.tables import read, section, table

_QUALITY_NOTE = """8192 generated 7x7 patches of all levels against as many real
ones; half of them train the classifiers. Brackets compare real patches with
real ones, where chance is 0.5. The classifier is the better of two perceptrons
of scikit-learn (256, 256), on standardised pixels and on whitened principal
components. The boosted trees also receive the energy of fine detail, which is a
harder test than the goal requires. Each trained on two of 16 threads
of a server, six trainings at once: a step took twice as long as on two cores of
a machine of their own."""
_MIXTURE_NOTE = """The baselines are mixtures of Gaussians of these patches.
Bits per dimension (a pixel's value) are those of 7x7 patches of the finest
level, in vertical bands of 25 pixels: every second band is fitted, the others
are held out. Pixels are rounded to 8 bits with uniform noise of one grey level,
and the density is that at noise of its standard deviation, 1 / sqrt(12) grey
levels. With many Gaussians, each has too few patches for its covariance, and
held-out patches lie outside of it."""


def patch_quality() -> str:
  """Table of generated against real patches."""
  r = read('patch_quality')
  rows = [
    [
      f'{run["photograph"]}, seed {run["seed"]}',
      f'{run["training_seconds"]:.0f}',
      f'{run["generated"]["c2st_accuracy"]:.3f}'
      f' ({run["control"]["c2st_accuracy"]:.3f})',
      f'{run["generated"]["boosted_trees_accuracy"]:.3f}'
      f' ({run["control"]["boosted_trees_accuracy"]:.3f})',
      f'{run["ratios"]["sliced_wasserstein"]:.2f}',
      f'{run["generated"]["copy_fraction"]:.2%}'
      f' ({run["control"]["copy_fraction"]:.2%})',
    ]
    for run in r['runs']
  ]
  if 'coffee' in r:
    coffee = [
      f'{found["mean"]:.3f} +- {found["std"]:.3f}'
      for found in r['coffee'].values()
    ]
    rows.append(['**coffee, mean and standard deviation**', '', *coffee, ''])
  if 'worst' in r:
    worst = [
      f'{found["value"]:.3f} ({found["photograph"]})'
      for found in r['worst'].values()
    ]
    rows.append(['**worst photograph**', '', *worst, ''])
  rows.append(['goal', '180', '0.60', '0.62', '3', ''])
  head = [
    'run',
    'training, s',
    'classifier accuracy (real)',
    'boosted trees (real)',
    'sliced Wasserstein over that of real patches',
    'copies (real)',
  ]
  body = f'{table(head, rows)}\n\n{_QUALITY_NOTE}'
  body += f'\n\n{mixtures(r)}\n\n{_MIXTURE_NOTE}'
  return section('Patch quality after three minutes', r, body)


def mixtures(results: dict[str, Any]) -> str:
  """Table of mixtures of Gaussians of patches."""
  rows = [
    [
      f'{run["photograph"]}, {run["num_components"]}',
      f'{run["fitting_seconds"]:.0f}',
      f'{run["generated"]["c2st_accuracy"]:.3f}',
      f'{run["generated"]["boosted_trees_accuracy"]:.3f}',
      f'{run["ratios"]["sliced_wasserstein"]:.2f}',
      f'{run["bits_per_dimension"]:.2f}'
      f' ({run["bits_per_dimension_of_fitted"]:.2f})',
    ]
    for run in results['mixtures']
  ]
  rows += [
    [
      f'coffee, {num}',
      *4 * [''],
      f'{bits["bits_per_dimension"]:.2f}'
      f' ({bits["bits_per_dimension_of_fitted"]:.2f})',
    ]
    for num, bits in results['bits_by_components'].items()
  ]
  head = [
    'photograph, number of Gaussians',
    'fit, s',
    'classifier accuracy',
    'boosted trees',
    'sliced Wasserstein over that of real patches',
    'bits per dimension (of the fitted patches)',
  ]
  return table(head, rows)
