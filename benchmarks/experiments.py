"""All experiments with several seeds.

  python -m benchmarks.experiments

Runs `idiff-reproduce` once for each seed and collects its reports: some tens of
minutes for each seed on two cores. `--experiment=NAME` repeats one experiment
and keeps the results of the others; `--seeds=1` runs each once.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

from benchmarks import timing
from internal_diffusion.bin.reproduce import EXPERIMENTS

_NUM_SEEDS = 3
_NAMES = tuple(EXPERIMENTS)


def run_experiment(name: str, num_seeds: int) -> dict[str, object]:
  """Values, mean, standard deviation and goal of each figure over the seeds."""
  reports = []
  for seed in range(num_seeds):
    with tempfile.TemporaryDirectory() as folder:
      subprocess.run(
        [
          sys.executable,
          '-m',
          'internal_diffusion.bin.reproduce',
          f'--experiment={name}',
          f'--out={folder}',
          f'--seed={seed}',
        ],
        check=True,
      )
      path = pathlib.Path(folder) / 'report.json'
      reports.append(json.loads(path.read_text()))
  figures = {}
  for label in reports[0]['figures']:
    of_seeds = [report['figures'][label] for report in reports]
    values = [figure['value'] for figure in of_seeds]
    figures[label] = {
      'values': values,
      'mean': statistics.mean(values),
      'std': statistics.stdev(values) if num_seeds > 1 else 0.0,
      'goal': of_seeds[0]['goal'],
      'met': [figure['met'] for figure in of_seeds],
    }
  seconds = [sum(report['seconds'].values()) for report in reports]
  return {'figures': figures, 'seconds': seconds}


def main() -> None:
  """Runs the experiments and saves the results after each."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--experiment', choices=_NAMES, action='append')
  parser.add_argument('--seeds', type=int, default=_NUM_SEEDS)
  arguments = parser.parse_args()
  if arguments.seeds < 1:
    parser.error(f'--seeds must be at least 1, got {arguments.seeds}')
  names = arguments.experiment or _NAMES
  path = timing.RESULTS / 'experiments.json'
  found = json.loads(path.read_text())['runs'] if path.exists() else {}
  for name in names:
    found[name] = run_experiment(name, arguments.seeds)
    ordered = {known: found[known] for known in _NAMES if known in found}
    timing.save(
      'experiments', 'python -m benchmarks.experiments', {'runs': ordered}
    )


if __name__ == '__main__':
  main()
