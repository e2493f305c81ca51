"""Training, upscaling and flow, killed at random moments and started again.

  python -m benchmarks.kills --num=200

Each run is a command of tiny size in a process that SIGKILL ends at a random
moment. After each kill every file with a final name must be whole. The same
command follows, up to a few times in a row, until it ends by itself. Then no
temporary file may be left, and all results must be those of a run that was
never killed, bit for bit.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from internal_diffusion.training import model_files

_RESULT = pathlib.Path(__file__).parent / 'results' / 'kills.json'
_IN_A_ROW = 4  # Kills, before a run may end.
_PATIENCE = 900.0  # Seconds that a run may take.
_COMMON = ('--num_samples=2', '--batch_size=16')


class Job(NamedTuple):
  """A command: its module, and arguments in which FOLDER is replaced."""

  name: str
  arguments: Sequence[str]


JOBS = (
  Job(
    'train',
    (
      '--config.image=FOLDER/../first.png',
      '--workdir=FOLDER',
      '--config.network.width=16',
      '--config.network.depth=1',
      '--config.batch_size=32',
      '--config.num_references=64',
      '--config.steps_per_call=5',
      '--config.num_steps=100',
      '--config.max_minutes=0',
      '--config.checkpoint.every_steps=20',
    ),
  ),
  Job(
    'upscale',
    (
      '--image=FOLDER/../small.png',
      '--out=FOLDER/out',
      '--workdir=FOLDER/model',
      '--num_steps=2',
      '--num_rounds=1',
      *_COMMON,
    ),
  ),
  Job(
    'flow',
    (
      '--frames=FOLDER/../first.png,FOLDER/../second.png',
      '--out=FOLDER/out',
      '--workdir=FOLDER/model',
      '--num_steps=20',
      '--minutes=0',
      '--width=16',
      '--num_fields=1',
      '--num_warps=1',
      *_COMMON,
    ),
  ),
)


def make_pictures(folder: pathlib.Path) -> None:
  """Writes two frames and a small picture, parts of a photograph."""
  import skimage.data

  photo = skimage.data.coffee()[100:320:4, 100:340:4]
  parts = {
    'first': photo[:48, :48],
    'second': photo[2:50, 1:49],
    'small': photo[:24, :24],
  }
  for name, part in parts.items():
    Image.fromarray(part).save(folder / f'{name}.png')


def start(job: Job, folder: pathlib.Path) -> subprocess.Popen:
  """Starts the command in a process of its own."""
  given = [a.replace('FOLDER', str(folder)) for a in job.arguments]
  with open(folder.parent / f'{job.name}.log', 'w') as log:
    return subprocess.Popen(
      [sys.executable, '-m', f'internal_diffusion.bin.{job.name}', *given],
      stdout=log,
      stderr=log,
    )


def ended_within(process: subprocess.Popen, seconds: float) -> bool:
  """Whether a process ends by itself in some time; raises if it fails."""
  try:
    code = process.wait(seconds)
  except subprocess.TimeoutExpired:
    return False
  if code:
    raise RuntimeError(f'the command ended with code {code}')
  return True


def check_whole(folder: pathlib.Path) -> None:
  """Reads every file with a final name; one that is not whole raises."""
  for path in folder.rglob('*'):
    # Temporary files, and orbax's, which have a name only when complete.
    inside = path.relative_to(folder).parts
    hidden = any(part.endswith('.tmp') for part in inside)
    if hidden or 'checkpoints' in inside or not path.is_file():
      continue
    if path.suffix in ('.png', '.gif'):
      with Image.open(path) as image:
        image.load()
    elif path.suffix == '.npz':
      with np.load(path) as arrays:
        for name in arrays:
          _ = arrays[name]
    elif path.name == 'model.json':
      model_files.load(path.parents[1])
    elif path.suffix == '.json':
      json.loads(path.read_text())


def contents(folder: pathlib.Path) -> dict[str, object]:
  """What must not depend on kills: results, models, losses."""
  found: dict[str, object] = {}
  for path in sorted(folder.rglob('*')):
    name = str(path.relative_to(folder))
    if 'checkpoints' in name or not path.is_file() or '.tfevents' in name:
      continue
    if path.suffix == '.npz':
      with np.load(path) as arrays:
        found[name] = {n: arrays[n].tobytes() for n in arrays}
    elif path.name == 'metrics.jsonl':
      lines = [json.loads(line) for line in path.read_text().splitlines()]
      found[name] = [(line['step'], line['loss']) for line in lines]
    elif path.name == 'model.json':
      found[name] = json.loads(path.read_text())['crc32']
    elif path.suffix in ('.png', '.gif', '.flo', '.csv'):
      with contextlib.suppress(KeyError):
        found[name] = path.read_bytes()
  found.pop('loss.png', None)  # The curve of a later run begins later.
  return found


def temporary_files(folder: pathlib.Path) -> list[str]:
  """Names of temporary files and folders."""
  return [
    str(path)
    for path in folder.rglob('*')
    if path.name.endswith(('.tmp', '-tmp'))
    or '.orbax-checkpoint-tmp' in path.name
  ]


@dataclasses.dataclass
class Score:
  """Numbers of kills, and of runs that ended well after kills."""

  kills: int = 0
  ended: int = 0


class Unbroken(NamedTuple):
  """A run that nothing killed: its results, and its time in seconds."""

  contents: dict[str, object]
  seconds: float


def unbroken(job: Job, folder: pathlib.Path) -> Unbroken:
  """Runs a command twice: the first run compiles, the second has the time."""
  found, seconds = [], 0.0
  for _ in range(2):
    whole = folder / f'{job.name}_whole'
    whole.mkdir()
    begun = time.monotonic()
    if not ended_within(start(job, whole), _PATIENCE):
      raise RuntimeError(f'{job.name} does not end')
    seconds = time.monotonic() - begun
    found.append(contents(whole))
    shutil.rmtree(whole)
  _compare(found[0], found[1], job.name)
  return Unbroken(found[0], seconds)


def torture(
  job: Job,
  folder: pathlib.Path,
  rng: np.random.Generator,
  whole: Unbroken,
  score: Score,
) -> None:
  """Kills a command a few times, lets it end, and compares its results."""
  broken = folder / f'{job.name}_broken'
  broken.mkdir()
  for index in range(_IN_A_ROW + 1):
    process = start(job, broken)
    moment = rng.uniform(0, whole.seconds)
    if ended_within(process, _PATIENCE if index == _IN_A_ROW else moment):
      break
    process.kill()
    process.wait()
    score.kills += 1
    check_whole(broken)
  score.ended += 1
  _compare(contents(broken), whole.contents, job.name)
  left = temporary_files(broken)
  if left:
    raise AssertionError(f'{job.name} leaves {left}')
  shutil.rmtree(broken)


def _compare(found: dict, expected: dict, name: str) -> None:
  for file in sorted({**found, **expected}):
    if found.get(file) != expected.get(file):
      raise AssertionError(f'{name}: {file} is not that of an unbroken run')


def main() -> None:
  """Runs all, prints and saves the table."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--num', type=int, default=200)
  parser.add_argument('--seed', type=int, default=0)
  parser.add_argument('--jobs', default='train,upscale,flow')
  arguments = parser.parse_args()
  jobs = [job for job in JOBS if job.name in arguments.jobs.split(',')]
  rng = np.random.default_rng(arguments.seed)
  scores = {job.name: Score() for job in jobs}
  with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    os.environ['JAX_COMPILATION_CACHE_DIR'] = str(folder / 'cache')
    os.environ['JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS'] = '0'
    make_pictures(folder)
    whole = {job.name: unbroken(job, folder) for job in jobs}
    while sum(score.kills for score in scores.values()) < arguments.num:
      for job in jobs:
        torture(job, folder, rng, whole[job.name], scores[job.name])
        print(job.name, scores[job.name], flush=True)
      content = {name: vars(score) for name, score in scores.items()}
      _RESULT.write_text(json.dumps(content, indent=2) + '\n')


if __name__ == '__main__':
  main()
