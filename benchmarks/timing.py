"""Timing on a noisy machine, and the JSON files of results."""

import json
import os
import pathlib
import platform
import statistics
import time
from collections.abc import Callable

import jax

RESULTS = pathlib.Path(__file__).parent / 'results'


def seconds_of(function: Callable[[], object], *, repeats: int = 7) -> float:
  """Median time of a call that returns arrays, without its first call."""
  jax.block_until_ready(function())
  times = []
  for _ in range(repeats):
    start = time.perf_counter()
    jax.block_until_ready(function())
    times.append(time.perf_counter() - start)
  return statistics.median(times)


def machine() -> dict[str, object]:
  """Machine and versions that the numbers belong to."""
  device = jax.devices()[0]
  return {
    'platform': device.platform,
    'kind': device.device_kind,
    'cpu_cores': len(os.sched_getaffinity(0)),
    'python': platform.python_version(),
    'jax': jax.__version__,
  }


def save(name: str, command: str, results: dict[str, object]) -> None:
  """Writes benchmarks/results/NAME.json and prints it."""
  content = {'command': command, 'machine': machine(), **results}
  RESULTS.mkdir(exist_ok=True)
  text = json.dumps(content, indent=2)
  (RESULTS / f'{name}.json').write_text(text + '\n')
  print(text)
