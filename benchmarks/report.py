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
  patch_tables,
  restoration_tables,
  super_resolution_tables,
  video_tables,
)
from benchmarks.tables import read, section, table

_PAGE = pathlib.Path(__file__).parent / 'RESULTS.md'


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
    patch_tables.patch_quality(),
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
