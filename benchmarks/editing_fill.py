"""Fills of rectangles, text and scratches, beside three other fills.

  python -m benchmarks.editing_fill --images FILE FILE ...

Two rectangles of 32 to 96 pixels are filled in each of ten pictures with a
short side of 256 pixels: photographs of scikit-image, on which the fill was
tuned, and those of the files, which nothing was tuned on. Beside `fill` stand
the fills of `benchmarks.editing_rivals`. The figures are those of
`evaluation.seams`, for the truth too: its seams are what the test finds where
there are none. The detail of a typical pixel, by the median, leaves out edges
that only the truth has. Each figure of ours is that of the first sample;
`samples` has those of all four.

The diversity is the standard deviation between four fills over that between
pictures cut out of the known picture, of the hole's size. Thin holes, where the
truth is determined, are scratches and text drawn on the same pictures, and the
mask of `--determined` (FILE.png and FILE_mask.png) if it is given; their figure
is the PSNR inside.

Photographs of a short side of 128 pixels are extended by half of their width
on the right; beside their coherence stands that of new pictures of `generate`.

Time and memory are those of a process of its own for each size.
"""

import argparse
import pathlib
import time
from collections.abc import Callable, Iterator, Sequence

import jax
import numpy as np
import skimage.data
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from benchmarks import editing_resources, editing_rivals, tables, timing
from benchmarks.generation import at_short_side
from internal_diffusion.applications.editing import extend, fill
from internal_diffusion.applications.images import generate, make_image_prior
from internal_diffusion.data import image_io
from internal_diffusion.evaluation.fidelity import psnr
from internal_diffusion.evaluation.nearest_patches import (
  all_vectors,
  nearest_vectors,
)
from internal_diffusion.evaluation.seams import (
  hole_coherence,
  hole_detail,
  seam_p_value,
)

_NAME = 'editing_fill'
_TUNED = ('coffee', 'chelsea', 'astronaut', 'camera', 'grass')
_SIDE = 256
_SIDES = (32, 96)  # Of a rectangle.
_NUM_RECTANGLES = 2
_MARGIN = 12  # Between a rectangle and the picture's border.
_NUM_SAMPLES = 4
_NUM_CROPS = 64
_SMALL_SIDE = 128  # Of photographs that are extended.
_PATCH_SIZE = 7


def pictures(
  paths: Sequence[pathlib.Path],
) -> Iterator[tuple[str, np.ndarray, bool]]:
  """Name, picture and whether it was tuned on."""
  for name in _TUNED:
    pixels = np.atleast_3d(getattr(skimage.data, name)())
    image = 2 * pixels.astype(np.float32) / 255 - 1
    yield name, at_short_side(image, _SIDE), True
  for path in paths:
    image = image_io.read_image(path, channels=None)
    yield path.stem, at_short_side(image, _SIDE), False


def rectangles(size: tuple[int, int], seed: int) -> Iterator[np.ndarray]:
  """Masks of rectangles."""
  rng = np.random.default_rng(seed)
  for _ in range(_NUM_RECTANGLES):
    sides = rng.integers(_SIDES[0], _SIDES[1] + 1, 2)
    mask = np.zeros(size, bool)
    row, column = (
      int(rng.integers(_MARGIN, side - own - _MARGIN + 1))
      for side, own in zip(size, sides, strict=True)
    )
    mask[row : row + sides[0], column : column + sides[1]] = True
    yield mask


def figures(
  image: np.ndarray, truth: np.ndarray, mask: np.ndarray
) -> dict[str, float]:
  """Coherence, detail and p-value of the seam of a fill."""
  return {
    'coherence': hole_coherence(image, mask),
    'detail': hole_detail(image, truth, mask),
    'typical_detail': typical_detail(image, truth, mask),
    'seam_p_value': seam_p_value(image, mask),
  }


def typical_detail(
  image: np.ndarray, truth: np.ndarray, mask: np.ndarray
) -> float:
  """As `hole_detail`, with the squared median in place of the energy."""
  found = []
  for picture in (image, truth):
    smooth = ndimage.gaussian_filter(picture, (1, 1, 0))
    found.append(float(np.median(abs(picture - smooth)[mask])))
  return (found[0] / max(found[1], 1e-6)) ** 2


def spread_of_crops(image: np.ndarray, mask: np.ndarray) -> float:
  """Standard deviation between known crops of the hole's size."""
  rng = np.random.default_rng(0)
  rows, columns = (
    slice(found.min(), found.max() + 1) for found in np.nonzero(mask)
  )
  height, width = rows.stop - rows.start, columns.stop - columns.start
  crops: list[np.ndarray] = []
  for _ in range(100 * _NUM_CROPS):
    row = int(rng.integers(0, image.shape[0] - height + 1))
    column = int(rng.integers(0, image.shape[1] - width + 1))
    window = (slice(row, row + height), slice(column, column + width))
    if not mask[window].any():
      crops.append(image[window])
    if len(crops) == _NUM_CROPS:
      break
  return _spread(np.stack(crops)) if len(crops) > 1 else float('nan')


def _spread(images: np.ndarray) -> float:
  """Root mean square of the unbiased standard deviation over images."""
  return float(np.sqrt(np.mean(images.var(axis=0, ddof=1))))


def filled_rectangle(
  truth: np.ndarray, mask: np.ndarray, path: pathlib.Path | None
) -> dict[str, object]:
  """Figures of all fills of one rectangle."""
  holed = np.where(mask[..., None], 0, truth)
  start = time.perf_counter()
  samples = fill(jax.random.key(0), holed, mask, num_samples=_NUM_SAMPLES)
  seconds = {'ours': time.perf_counter() - start}
  found = {'truth': truth, 'ours': samples.samples[0]}
  for name, function in editing_rivals.fills():
    start = time.perf_counter()
    found[name] = function(holed, mask)
    seconds[name] = time.perf_counter() - start
  if path:
    shown = [holed, *found.values(), *samples.samples[1:]]
    image_io.write_image(path, np.concatenate(shown, axis=1))
  spread = _spread(samples.samples[:, mask])
  return {
    'seconds': seconds,
    'sides': [int(part.max() - part.min() + 1) for part in np.nonzero(mask)],
    'known_is_equal': bool(
      (samples.samples[:, ~mask] == truth[None, ~mask]).all()
    ),
    'diversity': spread / spread_of_crops(truth, mask),
    'fills': {x: figures(y, truth, mask) for x, y in found.items()},
    'samples': [figures(x, truth, mask) for x in samples.samples],
  }


def thin_masks(size: tuple[int, int], seed: int) -> dict[str, np.ndarray]:
  """Masks of scratches and of text."""
  rng = np.random.default_rng(seed)
  height, width = size
  scratches, text = (Image.new('1', (width, height)) for _ in range(2))
  pen = ImageDraw.Draw(scratches)
  for _ in range(12):
    points = np.cumsum(rng.normal(0, 25, (8, 2)), axis=0)
    points = (
      points - points.mean(axis=0) + rng.uniform(0, 1, 2) * (width, height)
    )
    line = [(float(x), float(y)) for x, y in points]
    pen.line(line, fill=1, width=int(rng.integers(1, 4)))
  pen = ImageDraw.Draw(text)
  font = ImageFont.load_default(size=16)
  for row in range(10, height - 20, 34):
    line = 'one picture and its own patches, again and again and again'
    pen.text((5 + row % 23, row), line, fill=1, font=font)
  found = {'scratches': np.array(scratches), 'text': np.array(text)}
  # scikit-image's biharmonic fill fails on some holes at the border.
  inner = np.pad(np.ones((height - 8, width - 8), bool), 4)
  return {name: mask & inner for name, mask in found.items()}


def filled_thin(truth: np.ndarray, mask: np.ndarray) -> dict[str, object]:
  """PSNR inside a thin hole, of `fill` and of biharmonic interpolation."""
  holed = np.where(mask[..., None], 0, truth)
  functions: dict[str, Callable[..., np.ndarray]] = dict(editing_rivals.fills())
  edited = fill(jax.random.key(0), holed, mask, num_samples=2)
  found = {
    'ours': edited.samples[0],
    'biharmonic': functions['biharmonic'](holed, mask),
  }
  result: dict[str, object] = {
    name: psnr(picture[mask][None], truth[mask][None])
    for name, picture in found.items()
  }
  result['std'] = float(np.sqrt(np.mean(edited.std[mask] ** 2)))
  return result


def extended(image: np.ndarray, path: pathlib.Path | None) -> dict[str, object]:
  """Figures of a photograph that is extended by half on the right."""
  half = image.shape[1] // 2
  edited = extend(jax.random.key(0), image, (0, half, 0, 0), num_samples=2)
  mask = np.zeros(edited.samples.shape[1:3], bool)
  mask[:, image.shape[1] :] = True
  prior = make_image_prior(image)
  made = [generate(jax.random.key(seed), prior)[0] for seed in range(2)]
  if path:
    image_io.write_image(path, np.concatenate([*edited.samples, *made], axis=1))
  bank = all_vectors(image, _PATCH_SIZE)
  generated = [
    nearest_vectors(all_vectors(x, _PATCH_SIZE)[::3], bank)[1] for x in made
  ]
  return {
    'coherence': [hole_coherence(x, mask) for x in edited.samples],
    'coherence_of_generate': [
      float(np.sqrt(squares[:, 0]).mean()) for squares in generated
    ],
    'seam_p_value': [seam_p_value(x, mask) for x in edited.samples],
  }


def read_pair(path: pathlib.Path) -> tuple[np.ndarray, np.ndarray]:
  """A picture and its mask, NAME_mask.png, in which a hole is black."""
  mask = image_io.read_image(path.with_stem(f'{path.stem}_mask'), channels=1)
  return image_io.read_image(path), mask[..., 0] < 0


def run_rectangles(options: argparse.Namespace) -> list[dict[str, object]]:
  """Figures of all rectangles of all pictures."""
  runs: list[dict[str, object]] = []
  for index, (name, image, tuned) in enumerate(pictures(options.images)):
    for number, mask in enumerate(rectangles(image.shape[:2], index)):
      path = options.out / f'{name}_{number}.png' if options.out else None
      run = {'picture': name, 'tuned': tuned}
      runs.append({**run, **filled_rectangle(image, mask, path)})
      print(runs[-1], flush=True)
  return runs


def run_thin(options: argparse.Namespace) -> list[dict[str, object]]:
  """PSNR of all thin holes of all pictures."""
  runs: list[dict[str, object]] = []
  for index, (name, image, tuned) in enumerate(pictures(options.images)):
    for kind, mask in thin_masks(image.shape[:2], index).items():
      run = {'picture': name, 'tuned': tuned, 'mask': kind}
      runs.append({**run, **filled_thin(image, mask)})
      print(runs[-1], flush=True)
  if options.determined:
    truth, mask = read_pair(options.determined)
    run = {'picture': options.determined.stem, 'tuned': False, 'mask': 'own'}
    runs.append({**run, **filled_thin(truth, mask)})
  return runs


def run_extended(options: argparse.Namespace) -> list[dict[str, object]]:
  """Figures of all extensions."""
  runs: list[dict[str, object]] = []
  for name, image, _ in pictures([]):
    path = options.out / f'{name}_extended.png' if options.out else None
    small = at_short_side(image, _SMALL_SIDE)
    runs.append({'picture': name, **extended(small, path)})
    print(runs[-1], flush=True)
  return runs


def run_resources(options: argparse.Namespace) -> dict[str, dict[str, float]]:
  """Seconds and memory of each size."""
  del options
  return editing_resources.measure_all()


_PARTS: dict[str, Callable[[argparse.Namespace], object]] = {
  'extended': run_extended,
  'rectangles': run_rectangles,
  'thin': run_thin,
  'resources': run_resources,
}


def main() -> None:
  """Runs everything and saves the results after each part."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--images', type=pathlib.Path, nargs='*', default=[])
  parser.add_argument('--determined', type=pathlib.Path, help='with a mask')
  parser.add_argument('--out', type=pathlib.Path, help='folder for pictures')
  parser.add_argument(
    '--only', nargs='*', choices=_PARTS, help='the others keep their results'
  )
  options = parser.parse_args()
  results = tables.read(_NAME) if options.only else {}
  for name in options.only or _PARTS:
    results[name] = _PARTS[name](options)
    found = {part: results[part] for part in _PARTS if part in results}
    command = 'python -m benchmarks.editing_fill --images FILE FILE ...'
    timing.save(_NAME, command, found)


if __name__ == '__main__':
  main()
