"""Damaged pictures with known truth, by the protocols of the literature.

Noise: y = x + sigma n with n from `numpy.random.default_rng(seed)` for each
picture, neither clipped nor rounded. Missing pixels: those where
`numpy.random.default_rng(seed).random(shape)` is below a fraction. JPEG: the
file that Pillow writes. Blur: files of a sharp `x`, a blurred `y` and a kernel
`f` (Levin et al. 2009), whose kernel is turned by 180 degrees to be that of a
convolution; without such files, a kernel of camera motion and noise of one grey
level.
"""

import io
import pathlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import skimage.data
import skimage.transform
from PIL import Image
from scipy import io as matlab
from scipy import ndimage, optimize, signal

from internal_diffusion.applications.restoration import RestoreOptions
from internal_diffusion.data import image_io

BUNDLED = ('camera', 'coffee', 'rocket')  # Photographs of scikit-image.
_SIDE = 256  # Of the bundled photographs, in pixels.
_MAX_SHIFT = 6  # Of a deblurred picture, in pixels.
_BLUR_BORDER = 15  # Pixels of each side that do not count.


class Case(NamedTuple):
  """A damaged picture.

  Attributes:
    truth: [H, W, 1] in [-1, 1].
    damaged: [H, W, 1].
    options: Options of the restoration.
    given: Further arguments of `restore`.
    border: Pixels of each side that do not count.
    max_shift: Longest shift that the result may have, in pixels.
  """

  truth: np.ndarray
  damaged: np.ndarray
  options: dict[str, Any]
  given: dict[str, Any]
  border: int = 0
  max_shift: int = 0


class Problem(NamedTuple):
  """A kind of damage.

  Attributes:
    folder: Folder of its pictures.
    make: Makes a case of a true picture, a seed, and the picture's file.
    is_random: Whether the damage depends on the seed.
    size: Height and width of a photograph of scikit-image that is its only
      picture, continued by its mirror image, to measure time and memory.
    is_rare: Whether it is left out unless asked for.
  """

  folder: str
  make: Callable[..., Case]
  is_random: bool = True
  size: tuple[int, int] | None = None
  is_rare: bool = False


def noisy(truth: np.ndarray, seed: int, *, sigma: float, known: bool) -> Case:
  """White noise of `sigma` grey levels of 255."""
  noise = np.random.default_rng(seed).standard_normal(truth.shape)
  damaged = (truth + sigma / 127.5 * noise).astype(np.float32)
  options = {'task': 'denoise', 'sigma': sigma if known else None}
  return Case(truth, damaged, options, {})


def with_holes(truth: np.ndarray, seed: int, *, fraction: float) -> Case:
  """Pixels missing at random."""
  mask = np.random.default_rng(seed).random(truth.shape[:2]) < fraction
  damaged = np.where(mask[..., None], np.float32(0), truth)
  return Case(truth, damaged, {'task': 'inpaint'}, {'mask': mask})


def compressed(truth: np.ndarray, seed: int, *, quality: int) -> Case:
  """A JPEG file of the picture."""
  del seed
  grey = np.rint(127.5 * (truth[..., 0] + 1)).astype(np.uint8)
  buffer = io.BytesIO()
  Image.fromarray(grey).save(buffer, 'JPEG', quality=quality)
  decoded = np.asarray(Image.open(buffer))[..., None]
  damaged = (decoded / 127.5 - 1).astype(np.float32)
  return Case(truth, damaged, {'task': 'jpeg', 'quality': quality}, {})


def blurred(
  truth: np.ndarray, seed: int, *, known: bool, path: pathlib.Path | None
) -> Case:
  """A picture blurred by a camera's motion."""
  if path is not None:
    content = matlab.loadmat(path)
    truth, damaged = (
      (2 * content[name][..., None] - 1).astype(np.float32) for name in 'xy'
    )
    kernel = content['f'][::-1, ::-1]
  else:
    kernel = motion_kernel(seed)
    margin = kernel.shape[0] // 2
    blurry = signal.convolve2d(truth[..., 0], kernel, mode='valid')
    truth = truth[margin:-margin, margin:-margin]
    noise = np.random.default_rng(seed).standard_normal(truth.shape)
    damaged = (blurry[..., None] + noise / 127.5).astype(np.float32)
  return Case(
    truth,
    damaged,
    {'task': 'deblur'},
    {'kernel': kernel} if known else {},
    border=_BLUR_BORDER,
    max_shift=_MAX_SHIFT,
  )


def motion_kernel(seed: int, *, side: int = 15) -> np.ndarray:
  """Kernel of a camera that wandered, [side, side] of sum 1."""
  rng = np.random.default_rng(seed)
  path = np.cumsum(np.cumsum(rng.standard_normal((200, 2)), axis=0), axis=0)
  path -= path.mean(axis=0)
  path *= (side / 2 - 2.5) / np.abs(path).max()
  rows, columns = np.rint(path + side // 2).astype(int).T
  kernel = np.zeros((side, side))
  np.add.at(kernel, (rows, columns), 1)
  kernel = ndimage.gaussian_filter(kernel, 0.6)
  return kernel / kernel.sum()


def _problems() -> dict[str, Problem]:
  found = {}
  for known, name in ((True, 'denoise'), (False, 'denoise_blind')):
    for sigma in (15, 25, 50):
      found[f'{name}_{sigma}'] = Problem(
        'denoise',
        lambda truth, seed, path, s=sigma, k=known: noisy(
          truth, seed, sigma=float(s), known=k
        ),
      )
  for percent in (50, 75):
    found[f'inpaint_{percent}'] = Problem(
      'denoise',
      lambda truth, seed, path, p=percent: with_holes(
        truth, seed, fraction=p / 100
      ),
    )
  for known, name in ((True, 'deblur'), (False, 'deblur_blind')):
    found[name] = Problem(
      'deblur',
      lambda truth, seed, path, k=known: blurred(
        truth, seed, known=k, path=path
      ),
      is_random=False,
    )
  for quality in (10, 20, 30, 40):
    found[f'jpeg_{quality}'] = Problem(
      'jpeg',
      lambda truth, seed, path, q=quality: compressed(truth, seed, quality=q),
      is_random=False,
    )
  for size in ((512, 512), (1024, 1024), (3000, 4000)):
    found[f'size_{size[0]}x{size[1]}'] = Problem(
      '',
      lambda truth, seed, path: noisy(truth, seed, sigma=25.0, known=True),
      is_random=False,
      size=size,
      is_rare=size[1] > 2000,
    )
  return found


PROBLEMS = _problems()


def pictures_of(
  problem: Problem, folder: pathlib.Path | None
) -> Iterator[tuple[str, np.ndarray, pathlib.Path | None]]:
  """Name, true picture [H, W, 1] and file (of a blurred one) of each picture.

  Args:
    problem: The problem.
    folder: Folder with a folder for each problem, or with pictures; None for
      photographs of scikit-image.
  """
  if problem.size:
    yield 'camera', continued(problem.size), None
    return
  if folder is None:
    for name in BUNDLED:
      yield name, bundled(name), None
    return
  own = folder / problem.folder
  paths = sorted(p for p in (own if own.is_dir() else folder).rglob('*.*'))
  for path in paths:
    if path.suffix == '.mat' and problem.folder == 'deblur':
      yield path.stem, np.zeros((1, 1, 1), np.float32), path
    elif path.suffix in ('.png', '.bmp', '.tif', '.jpg'):
      yield path.stem, image_io.read_image(path, channels=1), None


def bundled(name: str) -> np.ndarray:
  """Grey photograph of scikit-image, rounded to 8 bits, [256, 256, 1]."""
  image = getattr(skimage.data, name)() / 255.0
  grey = image if image.ndim == 2 else image @ [0.299, 0.587, 0.114]
  side = min(grey.shape)
  top, left = ((n - side) // 2 for n in grey.shape)
  square = grey[top : top + side, left : left + side]
  small = skimage.transform.resize(
    square, (_SIDE, _SIDE), order=3, anti_aliasing=True
  )
  levels = np.rint(255 * small.clip(0, 1))
  return (levels[..., None] / 127.5 - 1).astype(np.float32)


def continued(size: tuple[int, int]) -> np.ndarray:
  """The camera man and his mirror images, [H, W, 1]."""
  grey = skimage.data.camera()
  around = [(0, max(0, n - m)) for n, m in zip(size, grey.shape, strict=True)]
  wide = np.pad(grey, around, mode='symmetric')[: size[0], : size[1]]
  return (wide[..., None] / 127.5 - 1).astype(np.float32)


def options_of(case: Case, *, num_samples: int, seed: int) -> RestoreOptions:
  """Options of the restoration of a case."""
  return RestoreOptions(**case.options, num_samples=num_samples, seed=seed)


def best_shift(
  estimate: np.ndarray, case: Case
) -> Callable[[np.ndarray], np.ndarray]:
  """Takes pictures [H, W, 1] to those that are judged.

  Without the border, and moved by the shift that brings the estimate nearest to
  the truth where a shift is allowed: blur and kernel have one in common.
  """
  border = case.border
  inside = slice(border, -border) if border else slice(None)
  if not case.max_shift:
    return lambda image: image[inside, inside]
  expected = case.truth[inside, inside, 0]

  def moved(image: np.ndarray, shift: np.ndarray) -> np.ndarray:
    found = ndimage.shift(image[..., 0], shift, order=3, mode='nearest')
    return found[inside, inside]

  def error(shift: np.ndarray) -> float:
    if np.abs(shift).max() > case.max_shift:
      return np.inf
    return float(np.mean((moved(estimate, shift) - expected) ** 2))

  def error_of_whole(shift: tuple[int, int]) -> float:
    rows, columns = (
      slice(border - d, size - border - d)
      for d, size in zip(shift, estimate.shape[:2], strict=True)
    )
    return float(np.mean((estimate[rows, columns, 0] - expected) ** 2))

  steps = range(-case.max_shift, case.max_shift + 1)
  whole = min(((dy, dx) for dy in steps for dx in steps), key=error_of_whole)
  simplex = np.array(whole) + np.array([[0, 0], [0.4, 0], [0, 0.4]])
  found = optimize.minimize(
    error,
    whole,
    method='Nelder-Mead',
    options={'initial_simplex': simplex, 'xatol': 0.01, 'fatol': 1e-9},
  )
  return lambda image: moved(image, found.x)[..., None]
