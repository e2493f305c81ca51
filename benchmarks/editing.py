"""Edits of one picture: tones of pasted objects, paintings, references.

  python -m benchmarks.editing --images=FOLDER

FOLDER holds photographs and the human segmentations of each as a .mat file
(`groundTruth`, cells of `Segmentation`). An object of each is changed in tone
(gain 0.6, exponent 1.7, hue by 30 degrees) and pasted back: the truth is the
photograph. Beside `harmonize` stand OpenCV's `seamlessClone` and the transfer
of means and standard deviations in CIE Lab (Reinhard et al. 2001) from the
picture without the object. The error is the root mean square over the object,
in grey levels of 255.

The other figures are of photographs of scikit-image at a short side of 128
pixels. A painting is the mirrored photograph in 80 segments of one colour each.
Distances to a painting and to a photograph are root mean squares of pixels; the
low band of a painting is that of a factor of 8.

References:
  Reinhard, Ashikhmin, Gooch and Shirley 2001, Color transfer between images.
"""

import argparse
import pathlib
import time
import warnings
from collections.abc import Callable, Iterator

import cv2
import jax
import numpy as np
import skimage.data
from scipy import io
from skimage import color, segmentation

from benchmarks import timing
from benchmarks.generation import at_short_side
from internal_diffusion.applications.editing import (
  harmonize,
  interpolate,
  paint,
  reference,
  vary,
)
from internal_diffusion.applications.images import generate, make_image_prior
from internal_diffusion.data import image_io
from internal_diffusion.data.downscaling import make_downscaling
from internal_diffusion.data.resampling import resample
from internal_diffusion.evaluation.fidelity import psnr
from internal_diffusion.evaluation.patch_statistics import (
  multiscale_sliced_wasserstein,
  pixel_diversity,
)

_KEY = jax.random.key(0)
_PHOTOGRAPHS = ('coffee', 'chelsea', 'rocket', 'astronaut')
_SIDE = 128
_STRENGTHS = (0.0, 0.25, 0.5, 0.7, 0.8, 0.9, 0.95, 1.0)
_FACTORS = (2, 3, 4, 8, 16)
_AREA = (0.015, 0.25)  # Of an object, over the picture's.
_CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
  'gain 0.6': lambda rgb: 0.6 * rgb,
  'exponent 1.7': lambda rgb: rgb**1.7,
  'hue 30': lambda rgb: _turn_hue(rgb, 30),
}


def objects(
  folder: pathlib.Path,
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
  """Name, photograph [H, W, 3] in [0, 1] and mask of each object."""
  for path in sorted(folder.glob('*.mat')):
    image = (image_io.read_image(path.with_suffix('.jpg')) + 1) / 2
    cells = io.loadmat(path)['groundTruth'][0]
    persons = [cell['Segmentation'][0, 0] for cell in cells]
    yield path.stem, image, _object_of(persons)


def _object_of(persons: list[np.ndarray]) -> np.ndarray:
  """The first person's segment of an object's size, away from the border."""
  found = []
  for segments in persons:
    labels, counts = np.unique(segments, return_counts=True)
    border = np.concatenate(
      [segments[0], segments[-1], segments[:, 0], segments[:, -1]]
    )
    found += [
      (np.mean(border == label) > 0.02, -count, index)
      for index, (label, count) in enumerate(zip(labels, counts, strict=True))
      if _AREA[0] < count / segments.size < _AREA[1]
    ]
    if found:
      return segments == labels[min(found)[2]]
  raise ValueError('No segment has the size of an object.')


def _turn_hue(rgb: np.ndarray, degrees: float) -> np.ndarray:
  hsv = color.rgb2hsv(rgb)
  hsv[..., 0] = (hsv[..., 0] + degrees / 360) % 1
  return color.hsv2rgb(hsv)


def seamless_clone(pasted: np.ndarray, mask: np.ndarray) -> np.ndarray:
  """The object cloned into the picture with its hole filled, [0, 1]."""
  pixels, hole = np.uint8(np.rint(255 * pasted)), np.uint8(mask) * 255
  beside = cv2.inpaint(pixels, hole, 5, cv2.INPAINT_TELEA)
  edge = (2, 2, 2, 2)
  wide = cv2.copyMakeBorder(hole, *edge, cv2.BORDER_CONSTANT)
  source, target = (
    cv2.copyMakeBorder(x, *edge, cv2.BORDER_REPLICATE) for x in (pixels, beside)
  )
  rows, columns = np.nonzero(wide)
  centre = tuple(
    int(used.min() + used.max() + 1) // 2 for used in (columns, rows)
  )
  cloned = cv2.seamlessClone(source, target, wide, centre, cv2.NORMAL_CLONE)
  return cloned[2:-2, 2:-2] / 255.0


def transfer_colours(pasted: np.ndarray, mask: np.ndarray) -> np.ndarray:
  """The object with the mean and deviation of the picture beside it, [0, 1]."""
  lab = color.rgb2lab(pasted)
  inside, beside = lab[mask], lab[~mask]
  scale = beside.std(axis=0) / np.maximum(inside.std(axis=0), 1e-3)
  lab[mask] = (inside - inside.mean(axis=0)) * scale + beside.mean(axis=0)
  with warnings.catch_warnings():
    warnings.simplefilter('ignore')  # Colours beyond the range.
    return color.lab2rgb(lab)


def harmonized(folder: pathlib.Path) -> list[dict[str, object]]:
  """Errors of each object and change."""
  runs: list[dict[str, object]] = []
  for name, truth, mask in objects(folder):
    for change, function in _CHANGES.items():
      pasted = truth.copy()
      values = function(truth[mask].astype(np.float64)).clip(0, 1)
      pasted[mask] = np.rint(255 * values) / 255
      image = (2 * pasted - 1).astype(np.float32)
      start = time.perf_counter()
      edited = harmonize(_KEY, image, mask=mask)
      seconds = time.perf_counter() - start
      found = {
        'as pasted': pasted,
        'ours': (edited.samples[0] + 1) / 2,
        'seamlessClone': seamless_clone(pasted, mask),
        'Reinhard': transfer_colours(pasted, mask),
      }
      runs.append(
        {
          'picture': name,
          'change': change,
          'seconds': seconds,
          'background_is_equal': bool(
            (edited.samples[:, ~mask] == image[None, ~mask]).all()
          ),
          'std': 127.5 * float(np.sqrt(np.mean(edited.std[mask] ** 2))),
          'error': {
            method: 255
            * float(np.sqrt(np.mean((picture[mask] - truth[mask]) ** 2)))
            for method, picture in found.items()
          },
        }
      )
      print(runs[-1], flush=True)
  return runs


def painting_of(image: np.ndarray) -> np.ndarray:
  """The mirrored photograph in segments of one colour each."""
  image = image[:, ::-1]
  labels = segmentation.slic(image / 2 + 0.5, n_segments=80, start_label=0)
  means = np.stack(
    [image[labels == label].mean(axis=0) for label in np.unique(labels)]
  )
  return means[labels].astype(np.float32)


def _rms(first: np.ndarray, second: np.ndarray) -> float:
  return float(np.sqrt(np.mean((first - second) ** 2)))


def _distance(images: np.ndarray, photograph: np.ndarray) -> float:
  """Mean sliced Wasserstein distance of the patches to the photograph's."""
  return float(
    np.mean(
      [multiscale_sliced_wasserstein(_KEY, x, photograph) for x in images]
    )
  )


def by_strength(image: np.ndarray) -> dict[str, object]:
  """Figures of paint and vary at strengths from 0 to 1."""
  size = tuple(side // 8 for side in image.shape[:2])
  painting = painting_of(image)
  low = np.asarray(resample(painting, size))
  prior = make_image_prior(image)
  made = np.stack(
    [generate(jax.random.key(seed), prior)[0] for seed in range(3)]
  )
  default = paint(_KEY, image, painting, num_samples=3).samples
  found: dict[str, object] = {
    'generate': {
      'distance': _distance(made, image),
      'diversity': pixel_diversity(made, image),
    },
    'paint_default_distance': _distance(default, image),
  }
  for strength in _STRENGTHS:
    painted = paint(
      _KEY, image, painting, strength=strength, num_samples=2
    ).samples
    varied = vary(_KEY, image, strength=strength, num_samples=3).samples
    found[f'{strength:g}'] = {
      'paint_low_distance': float(
        np.mean([_rms(np.asarray(resample(x, size)), low) for x in painted])
      ),
      'paint_distance': _distance(painted, image),
      'vary_distance': float(np.mean([_rms(x, image) for x in varied])),
      'vary_diversity': pixel_diversity(varied, image),
    }
    print(strength, found[f'{strength:g}'], flush=True)
  return found


def low_bands(image: np.ndarray, guide: np.ndarray) -> dict[str, float]:
  """Least PSNR of low bands of references after rounding to 8 bits."""
  found = {}
  for factor in _FACTORS:
    edited = reference(_KEY, image, guide, factor=factor, num_samples=2)
    size = tuple(edited.found['low_size'])
    wanted = np.asarray(resample(guide, size)).clip(-1, 1)
    operator = make_downscaling(size, image.shape[:2])
    rounded = np.rint(127.5 * edited.samples) / 127.5
    lows = [np.asarray(operator.apply(x)).clip(-1, 1) for x in rounded]
    found[f'{factor}'] = min(psnr(low, wanted) for low in lows)
    print('factor', factor, found[f'{factor}'], flush=True)
  return found


def path_ends(image: np.ndarray, guide: np.ndarray) -> dict[str, float]:
  """PSNR of the first and last frame of a path between two pictures."""
  frames = interpolate(_KEY, image, guide=guide, num_samples=5).samples
  guide = np.asarray(resample(guide, image.shape[:2])).clip(-1, 1)
  return {'first': psnr(frames[0], image), 'last': psnr(frames[-1], guide)}


def main() -> None:
  """Runs everything and saves the results."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--images', type=pathlib.Path, required=True)
  options = parser.parse_args()
  runs = harmonized(options.images)
  photographs = {
    name: at_short_side(
      2 * getattr(skimage.data, name)().astype(np.float32) / 255 - 1, _SIDE
    )
    for name in _PHOTOGRAPHS
  }
  names = list(photographs)
  others = dict(zip(names, names[1:] + names[:1], strict=True))
  results: dict[str, object] = {
    'harmonize': runs,
    'low_bands': {
      name: low_bands(image, photographs[others[name]])
      for name, image in photographs.items()
    },
    'path_ends': {
      name: path_ends(image, photographs[others[name]])
      for name, image in photographs.items()
    },
    'by_strength': {
      name: by_strength(image) for name, image in photographs.items()
    },
  }
  timing.save(
    'editing', 'python -m benchmarks.editing --images=FOLDER', results
  )


if __name__ == '__main__':
  main()
