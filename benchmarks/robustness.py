"""Damaged files: every reader must refuse them with a clear error, in bounds.

  python -m benchmarks.robustness --num=10000

Each reader gets mutated files of its format, in a process whose memory is
bounded. A file passes if it is read, or refused with a `ValueError` or an
`OSError` of one line. The table has the worst time and the memory.
"""

import argparse
import io
import json
import pathlib
import resource
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image

from internal_diffusion import files
from internal_diffusion.applications.patches.evaluation import (
  Samples,
  read_samples,
)
from internal_diffusion.data import (
  array_io,
  blur_kernel,
  flow_io,
  image_io,
  jpeg,
  metadata,
)
from internal_diffusion.training import model_files
from internal_diffusion.training.checkpoint import CheckpointStore

_RESULT = pathlib.Path(__file__).parent / 'results' / 'robustness.json'
_HUGE = (0, 1, 0x7F, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 4_194_328)
Reader = Callable[[pathlib.Path], object]


def mutate(rng: np.random.Generator, data: bytes) -> bytes:
  """A damaged copy of a file: a few random changes.

  Args:
    rng: Source of the changes.
    data: The file.
  """
  found = bytearray(data)
  for _ in range(rng.integers(1, 5)):
    # The start of a file has the sizes that it claims.
    bound = len(found) if rng.random() < 0.5 else min(len(found), 200)
    at = int(rng.integers(0, max(1, bound)))
    match rng.integers(0, 6):
      case 0:
        found[at : at + 1] = rng.bytes(1)
      case 1:
        length = int(rng.choice([1, 2, 4]))
        order = 'big' if rng.random() < 0.5 else 'little'
        value = int(rng.choice(_HUGE)) % 256**length
        found[at : at + length] = value.to_bytes(length, order)
      case 2:
        del found[at:]
      case 3:
        del found[at : at + int(rng.integers(1, 20))]
      case 4:
        found[at:at] = rng.bytes(int(rng.integers(1, 20)))
      case 5:
        other = int(rng.integers(0, len(found) or 1))
        found[at : at + 16] = found[other : other + 16]
  return bytes(found)


def good_files(folder: pathlib.Path) -> Iterator[tuple[pathlib.Path, Reader]]:
  """A small good file of each format, and its reader."""
  from scipy import io as matlab

  rng = np.random.default_rng(0)
  image = rng.uniform(-1, 1, (12, 17, 3)).astype(np.float32)
  for ending in ('png', 'jpg', 'webp', 'bmp', 'tif'):
    path = folder / f'image.{ending}'
    image_io.write_image(path, image)
    yield path, _read_picture
  for ending in ('png', 'tif'):
    path = folder / f'wide.{ending}'
    image_io.write_image(path, image, bit_depth=16)
    yield path, _read_picture
    path = folder / f'alpha.{ending}'
    image_io.write_image(path, image[..., :2], bit_depth=16)
    yield path, _read_picture
  for compression in ('tiff_lzw', 'tiff_deflate', 'jpeg'):
    buffer = io.BytesIO()
    pixels = np.rint(127.5 * (image + 1)).astype(np.uint8)
    Image.fromarray(pixels).save(buffer, 'TIFF', compression=compression)
    path = folder / f'{compression}.tiff'
    path.write_bytes(buffer.getvalue())
    yield path, _read_picture
  yield folder / 'image.jpg', jpeg.read_jpeg_cells
  frames = [Image.fromarray((i * np.eye(16)).astype(np.uint8)) for i in (1, 9)]
  path = folder / 'image.gif'
  frames[0].save(path, save_all=True, append_images=frames[1:])
  yield path, _read_picture
  flow = rng.normal(size=(9, 7, 2)).astype(np.float32)
  for ending in ('flo', 'png'):
    path = folder / f'flow.{ending}'
    flow_io.write_flow(path, flow)
    yield path, flow_io.read_flow
  np.save(folder / 'picture.npy', rng.random((9, 7, 3)).astype(np.float32))
  yield folder / 'picture.npy', array_io.read_array
  np.save(folder / 'kernel.npy', np.full((5, 5), 0.04))
  yield folder / 'kernel.npy', blur_kernel.read_kernel
  matlab.savemat(folder / 'kernel.mat', {'kernel': np.full((5, 5), 0.04)})
  yield folder / 'kernel.mat', blur_kernel.read_kernel
  values = rng.uniform(-1, 1, (9, 3)).astype(np.float32)
  files.write_npz(
    folder / 'samples.npz', dict.fromkeys(Samples._fields, values)
  )
  yield folder / 'samples.npz', read_samples


def good_folders(
  folder: pathlib.Path,
) -> Iterator[tuple[pathlib.Path, Reader]]:
  """A saved model and the checkpoints of a run, each with its reader."""
  rng = np.random.default_rng(0)
  state = {'w': rng.random((9, 7), np.float32), 'step': np.array(3, np.int32)}
  model_files.save(folder / 'saved', {**state, 'name': 'line', 'size': (1, 2)})
  yield folder / 'saved', model_files.load
  with CheckpointStore(folder / 'checkpoints') as store:
    store.save(3, state, seconds=1.0)

  def read_checkpoints(path: pathlib.Path) -> object:
    with CheckpointStore(path) as store:
      return store.restore(state)

  yield folder / 'checkpoints', read_checkpoints


def _read_picture(path: pathlib.Path) -> object:
  image, _ = image_io.read_image_with_alpha(path)
  if not np.all(np.isfinite(image)):
    raise AssertionError('a picture has values that are not finite')
  metadata.read_metadata(path)
  return image


def _damage(
  rng: np.random.Generator, path: pathlib.Path, damaged: pathlib.Path
) -> None:
  if path.is_file():
    damaged.write_bytes(mutate(rng, path.read_bytes()))
    return
  shutil.rmtree(damaged, ignore_errors=True)
  shutil.copytree(path, damaged)
  inside = sorted(p for p in damaged.rglob('*') if p.is_file())
  chosen = inside[rng.integers(len(inside))]
  chosen.write_bytes(mutate(rng, chosen.read_bytes()))


def read_mutated(
  path: pathlib.Path, read: Reader, *, num: int, seed: int
) -> dict[str, float]:
  """Reads mutated copies of a file, or a folder of which one file is mutated.

  Args:
    path: A good file or folder.
    read: Its reader.
    num: Number of copies.
    seed: Seed of the changes.

  Returns:
    Fraction that was refused, and the largest time in seconds.

  Raises:
    Exception: Any that is not a clear refusal; its notes name the copy.
  """
  rng = np.random.default_rng(seed)
  refused, worst = 0, 0.0
  damaged = path.with_name(f'damaged{path.suffix}')
  for index in range(num):
    _damage(rng, path, damaged)
    start = time.monotonic()
    try:
      with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        read(damaged)
    except (ValueError, OSError) as error:
      refused += 1
      if type(error) not in (ValueError, OSError, FileNotFoundError):
        error.add_note(f'copy {index} of {path.name}')
        raise
    except BaseException as error:
      error.add_note(f'copy {index} of {path.name}')
      raise
    worst = max(worst, time.monotonic() - start)
  return {'refused': refused / max(1, num), 'worst_seconds': worst}


def main() -> None:
  """Reads all, prints and saves the table."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--num', type=int, default=10_000)
  parser.add_argument('--seed', type=int, default=0)
  arguments = parser.parse_args()
  results = {}
  with tempfile.TemporaryDirectory() as folder:
    place = pathlib.Path(folder)
    for path, read in (*good_files(place), *good_folders(place)):
      name = f'{path.name} ({read.__name__.lstrip("_")})'
      before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
      found = read_mutated(path, read, num=arguments.num, seed=arguments.seed)
      after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
      found['peak_growth_mib'] = (after - before) / 1024
      results[name] = found
      print(
        f'{name}: refused {found["refused"]:.2f}, worst'
        f' {found["worst_seconds"]:.3f} s, peak +{found["peak_growth_mib"]:.0f}'
        ' MiB',
        flush=True,
      )
  _RESULT.parent.mkdir(exist_ok=True)
  _RESULT.write_text(
    json.dumps({'num': arguments.num, 'files': results}, indent=2) + '\n'
  )


if __name__ == '__main__':
  main()
