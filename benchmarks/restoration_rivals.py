"""Methods of scikit-image and OpenCV for the same damaged pictures.

Where a method has a strength to choose, the one of the highest PSNR is taken,
which needs the truth: so a rival is never worse than a person could make it.
OpenCV's methods are left out where it is not installed (`.[bench]`).
"""

import contextlib
from collections.abc import Callable, Iterator

import numpy as np
from skimage import restoration

from benchmarks.restoration_problems import Case

with contextlib.suppress(ImportError):
  import cv2

_WEIGHTS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5)  # Of total variation.
_BALANCES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)  # Of the Wiener filter.
_ITERATIONS = (10, 20, 30, 50, 100)  # Of Richardson and Lucy's method.
_EDGE = 32  # Pixels around a picture that is deblurred with wrapped borders.

Result = tuple[str, Callable[[], np.ndarray]]


def rivals_of(case: Case) -> Iterator[Result]:
  """Name and function of each variant of each method, to [H, W, 1].

  A method comes once for each of its strengths.
  """
  grey = (case.damaged[..., 0].astype(np.float64) + 1) / 2
  for name, function in _METHODS[case.options['task']](case, grey):
    yield name, lambda f=function: 2 * np.asarray(f())[..., None] - 1


def _denoise(case: Case, grey: np.ndarray) -> Iterator[Result]:
  sigma = case.options.get('sigma')
  for level in (15, 25, 50) if sigma is None else (sigma,):
    yield from _denoisers(grey, level / 255)


def _denoisers(grey: np.ndarray, sigma: float) -> Iterator[Result]:
  for strength in (0.6, 0.8, 1.0):
    yield (
      'denoise_nl_means',
      lambda h=strength * sigma: restoration.denoise_nl_means(
        grey, 7, 9, h=h, sigma=sigma, fast_mode=True
      ),
    )
  for weight in _WEIGHTS:
    yield (
      'denoise_tv_chambolle',
      lambda w=weight: restoration.denoise_tv_chambolle(grey, weight=w),
    )


def _jpeg(case: Case, grey: np.ndarray) -> Iterator[Result]:
  for sigma in (0.01, 0.02, 0.04):
    yield from _denoisers(grey, sigma)


def _inpaint(case: Case, grey: np.ndarray) -> Iterator[Result]:
  mask = case.given['mask']
  yield (
    'inpaint_biharmonic',
    lambda: restoration.inpaint_biharmonic(grey, mask),
  )
  if 'cv2' not in globals():
    return
  eight_bits = np.rint(255 * grey).astype(np.uint8)
  for name, kind in (('TELEA', cv2.INPAINT_TELEA), ('NS', cv2.INPAINT_NS)):
    yield (
      f'cv2 {name}',
      lambda k=kind: (
        cv2.inpaint(eight_bits, mask.astype(np.uint8), 3, k) / 255.0
      ),
    )


def _deblur(case: Case, grey: np.ndarray) -> Iterator[Result]:
  kernel = case.given.get('kernel')
  if kernel is None:
    return
  # Both methods believe that the picture is periodic.
  wide = np.pad(grey, _EDGE, mode='symmetric')
  inside = slice(_EDGE, -_EDGE)
  for balance in _BALANCES:
    yield (
      'wiener',
      lambda b=balance: restoration.wiener(wide, kernel, b)[inside, inside],
    )
  for number in _ITERATIONS:
    yield (
      'richardson_lucy',
      lambda n=number: restoration.richardson_lucy(wide, kernel, num_iter=n)[
        inside, inside
      ],
    )


_METHODS = {
  'denoise': _denoise,
  'inpaint': _inpaint,
  'deblur': _deblur,
  'jpeg': _jpeg,
}
