"""Writes benchmarks/RESULTS.md from the JSON files of benchmarks/results.

python -m benchmarks.report
"""

import pathlib
from typing import Any

from benchmarks import (
  colorization_tables,
  editing_tables,
  flow_tables,
  measurement_tables,
  restoration_tables,
  super_resolution_tables,
  video_tables,
)
from benchmarks.tables import read, section, table

_PAGE = pathlib.Path(__file__).parent / 'RESULTS.md'

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


def over_bound(figures: dict[str, Any]) -> str:
  """Median and range of a speed over its bound, in pairs of measurements."""
  pairs = figures['fraction_in_each_pair']
  middle = figures['fraction_of_product_bound']
  return f'{middle:.2f} ({min(pairs):.2f} to {max(pairs):.2f})'


def throughput() -> str:
  """Table of speeds and their bounds."""
  r = read('throughput')
  gathering, training, sampling = r['gathering'], r['training'], r['sampling']
  per_core = gathering['million_pixels_per_second'] / r['machine']['cpu_cores']
  rows = [
    [
      'patch gathering, million pixels per second and core',
      f'{per_core:.0f}',
      '20',
    ],
    [
      'training step, speed over that of its matrix products alone',
      over_bound(training),
      '0.75',
    ],
    [
      'logs and a checkpoint every 1000 steps, fraction of the time of the'
      ' steps',
      f'{r["host"]["logging_and_saving_over_steps"]:.2%}',
      '',
    ],
    [
      'sampling 4096 patches, 18 Heun steps, speed over the same',
      over_bound(sampling),
      '0.70',
    ],
    [
      'training, patches per second',
      f'{training["patches_per_second"]:,.0f}',
      '',
    ],
    [
      'sampling, patches per second',
      f'{sampling["patches_per_second"]:,.0f}',
      '',
    ],
    [
      'compilation of the step, seconds',
      f'{training["compile_seconds"]:.1f}',
      '',
    ],
  ]
  return section('Throughput', r, table(['figure', 'measured', 'goal'], rows))


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


def exactness() -> str:
  """Table of convergence orders, processes, devices and resumed runs."""
  r = read('exactness')
  rows = [
    [f'order of convergence, {name}', f'{value:.3f}', name[-2]]
    for name, value in r['orders'].items()
  ]
  rows += [
    [
      f'{name}: error of mean and covariance over their standard errors',
      f'{value["mean_z"]:.1f}, {value["covariance_z"]:.1f}',
      'below about 3',
    ]
    for name, value in r['processes'].items()
  ]
  rows += [
    [
      'four devices and one: largest difference of a parameter, 20 steps',
      f'{r["four_devices_against_one"]:.1e}',
      'float32 rounding',
    ],
    [
      'resumed and uninterrupted run: the same',
      f'{r["resumed_against_unbroken"]:.1e}',
      '0',
    ],
  ]
  return section('Exactness', r, table(['figure', 'measured', 'goal'], rows))


def experiments() -> str:
  """Table of the experiments over their seeds."""
  r = read('experiments')
  rows = []
  for name, run in r['runs'].items():
    minutes = sum(run['seconds']) / len(run['seconds']) / 60
    rows.append([f'**{name}**, {minutes:.1f} minutes', '', '', ''])
    for label, figure in run['figures'].items():
      met = [m for m in figure['met'] if m is not None]
      rows.append(
        [
          label,
          f'{figure["mean"]:.3f} +- {figure["std"]:.3f}',
          figure['goal'],
          f'{sum(met)} of {len(met)}' if met else '',
        ]
      )
  head = [
    'experiment',
    'mean and standard deviation',
    'goal',
    'seeds that meet it',
  ]
  return section('Experiments, three seeds', r, table(head, rows))


_GENERATION_NOTE = """Short side 160 pixels, 15x15 patches, one process for each
photograph. Seconds of the set-up, of the first image (a cold process with
imports, set-up and compilation) and of a later image. Quality is that of
`idiff-evaluate`, averaged over the images: coherence and completeness are
distances to the nearest patch, detail is the energy of the finest band over the
photograph's, diversity is a standard deviation, which is smaller for fewer
images. The baseline is a PyTorch implementation of the same algorithm
(Qiu et al. 2026): `ann` uses FAISS's nearest neighbours, `exact` sums over all
patches."""


def generation() -> str:
  """Tables of new images: time, quality, baseline, growth and seams."""
  r = read('generation')
  rows = []
  for name, systems in r['runs'].items():
    for system, run in systems.items():
      seconds, quality = run['seconds'], run['quality']

      def cell(key: str, where: dict[str, Any] = seconds) -> str:
        return f'{where[key]:.1f}' if key in where else ''

      rows.append(
        [
          f'{name}, {system}',
          str(len(seconds['samples'])),
          cell('setup'),
          cell('first_image'),
          cell('sample'),
          cell('peak_gib'),
          f'{quality["coherence"]:.4f}',
          f'{quality["completeness"]:.4f}',
          f'{quality["detail_level_0"]:.2f}',
          f'{quality["sliced_wasserstein"]:.3f}',
          f'{quality["copied_fraction"]:.2f}',
          f'{quality["pixel_diversity"]:.2f}',
        ]
      )
  head = [
    'photograph, system',
    'images',
    'setup',
    'first image',
    'image',
    'GiB',
    'coherence',
    'completeness',
    'detail',
    'Wasserstein',
    'copied',
    'diversity',
  ]
  growing = [
    [
      f'{run["side"]}x{run["side"]}',
      f'{run["setup"]:.1f}',
      f'{run["first_image"]:.1f}',
      f'{run["sample"]:.1f}',
      f'{run["peak_gib"]:.1f}',
    ]
    for run in r['growth']
  ]
  body = f'{table(head, rows)}\n\n{_GENERATION_NOTE}\n\n' + table(
    ['size', 'setup', 'first image', 'image', 'GiB'], growing
  )
  seams = [
    [name, f'{p["vertical"]:.2f}', f'{p["horizontal"]:.2f}']
    for name, p in r['seams'].items()
  ]
  body += (
    '\n\nSeams of a tileable image against all other pairs of neighbouring'
    ' lines: p-values of a rank test; below 0.05 a seam would be visible.'
    '\n\n' + table(['photograph', 'vertical', 'horizontal'], seams)
  )
  return section('Whole images', r, body)


def devices() -> str:
  """Table of the same work on several devices."""
  r = read('devices')
  found = r['devices']
  head = ['work'] + [
    name if name != 'cpu' else f'{run["machine"]["cpu_cores"]} CPU cores'
    for name, run in found.items()
  ]
  tasks = {task: None for run in found.values() for task in run}
  tasks.pop('machine')

  def cell(run: dict[str, Any], task: str) -> str:
    if task not in run:
      return 'not measured'
    if 'step_ms' in run[task]:
      step, compiling = run[task]['step_ms'], run[task]['compile_seconds']
      return f'{step:.2f} ms a step, {compiling:.0f} s of compilation'
    return f'{run[task]["second"]:.2f} s, first {run[task]["first"]:.0f} s'

  rows = [
    [task, *(cell(run, task) for run in found.values())] for task in tasks
  ]
  return section('Devices', r, table(head, rows))


def main() -> None:
  """Writes the page."""
  parts = [
    '# Results',
    '`python -m benchmarks.report` writes this page from `benchmarks/results/`.'
    ' Times are those of one noisy machine: compare ratios within one run.'
    ' [TRIED.md](TRIED.md) lists the variants that were tried.',
    patch_quality(),
    throughput(),
    devices(),
    exactness(),
    experiments(),
    generation(),
    super_resolution_tables.super_resolution(),
    restoration_tables.restoration(),
    editing_tables.fill(),
    editing_tables.modes(),
    flow_tables.flow(),
    video_tables.video(),
    measurement_tables.measurement(),
    colorization_tables.colorization(),
  ]
  _PAGE.write_text('\n\n'.join(part.strip() for part in parts if part) + '\n')


if __name__ == '__main__':
  main()
