"""Linear combinations of evidence, with weights of least error nearby.

A frame y is estimated by base + sum_j w_j f_j, of its evidence's features f_j.
Known frames of the clip have evidence too, and their truth is known. So the
weights are those of least squared error over the known frames, in a Gaussian
window around each place,

  w = w_0 + (A + D)^-1 (b - A w_0),  A = sum f f^T,  b = sum f (y - base),

where w_0 are the weights of the whole frame, and D shrinks towards them where
the window says little. Sums are kept in blocks of a few pixels. Only that share
of the weights is used that has least error in examples they were not learnt
from: it is 0 where the base alone is better.

The variance of the error is a combination, with weights at least 0, of its mean
nearby in the known frames and of the evidence's disagreement. It is scaled
so that 90% of the known frames' errors lie within 1.645 standard deviations.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage, optimize

from internal_diffusion.applications.video.evidence import Evidence

_BLOCK = 4  # Side of a block, in pixels.
_WINDOW = 7.0  # Standard deviation of the window, in pixels.
_SHRINKAGE = 0.03  # Of a window's weights, in mean squares of the frame.
_TRUST_WINDOW = 14.0  # Of the share of the weights that is used, in pixels.
_ERROR_WINDOW = 2.0  # Of the mean squared error, in pixels.
_STEP = 7  # Every such pixel fits the variance.
_LEAST_RATIO = 0.5  # Of the variance, where most errors are 0.
_QUANTILE, _NORMAL_QUANTILE = 0.9, 1.6449
_NOISE = 2 / 255 / np.sqrt(12)  # Of rounding to 8 bits.


class Sums(NamedTuple):
  """Normal equations of one known frame, in blocks [h, w].

  Attributes:
    products: Mean of f f^T, [h, w, J, J].
    targets: Mean of f (y - base), [h, w, J].
  """

  products: np.ndarray
  targets: np.ndarray


class ErrorModel(NamedTuple):
  """Variance of an estimate's error.

  Attributes:
    nearby: Mean squared error of the known frames around a place, [H, W].
    shares: Weights of 1, of `nearby` and of the disagreements, [2 + M].
  """

  nearby: np.ndarray
  shares: np.ndarray

  def std(self, evidence: Evidence) -> np.ndarray:
    """Standard deviation of the error of every pixel, [H, W]."""
    terms = _terms(self.nearby, evidence)
    return np.sqrt(terms @ self.shares)


class Fitted(NamedTuple):
  """How a frame is estimated from its evidence.

  Attributes:
    weights: Weights of the features, [H, W, J].
    model: Variance of the error.
    errors: Errors of the examples over their standard deviations, [H, W, C].
  """

  weights: np.ndarray
  model: ErrorModel
  errors: list[np.ndarray]

  def apply(self, evidence: Evidence, share: float) -> np.ndarray:
    """The frame [H, W, C] by a share of the weights, from 0 to 1."""
    return combine(evidence, share * self.weights)


def normal_equations(evidence: Evidence, truth: np.ndarray) -> Sums:
  """The sums of one known frame [H, W, C]."""
  features = evidence.features
  products = np.einsum('hwcj,hwck->hwjk', features, features)
  targets = np.einsum('hwcj,hwc->hwj', features, truth - evidence.base)
  return Sums(_in_blocks(products), _in_blocks(targets))


def fit_weights(sums: Sequence[Sums], size: tuple[int, int]) -> np.ndarray:
  """Weights of least error around each pixel, [H, W, J].

  Args:
    sums: Normal equations of the examples, at least one.
    size: Size (H, W) of the frames.
  """
  products = np.mean([one.products for one in sums], axis=0)
  targets = np.mean([one.targets for one in sums], axis=0)
  whole = products.mean(axis=(0, 1))
  scale = np.diag(np.diag(whole)) + 1e-7 * np.eye(len(whole))
  common = np.linalg.solve(whole + 1e-3 * scale, targets.mean(axis=(0, 1)))
  products, targets = _spread(products), _spread(targets)
  rest = targets - products @ common
  local = np.linalg.solve(products + _SHRINKAGE * scale, rest[..., None])
  return _to_pixels(common + local[..., 0], size)


def combine(evidence: Evidence, weights: np.ndarray) -> np.ndarray:
  """The frame that weights [H, W, J] make of the evidence, [H, W, C]."""
  change = np.einsum('hwcj,hwj->hwc', evidence.features, weights)
  return (evidence.base + change).clip(-1, 1).astype(np.float32)


def fit(
  evidence: Sequence[Evidence],
  sums: Sequence[Sums],
  truths: Sequence[np.ndarray],
) -> Fitted:
  """Learns how frames are estimated from examples.

  Args:
    evidence: Evidence of the examples, at least one.
    sums: Their normal equations.
    truths: The true frames, [H, W, C] each.
  """
  size = truths[0].shape[:2]
  if len(sums) < 2:
    # Its error would be judged by weights that were fitted to it.
    common = np.zeros((*size, evidence[0].features.shape[-1]), np.float32)
    errors = [truths[0] - evidence[0].base]
  else:
    changes = [
      combine(own, fit_weights([*sums[:i], *sums[i + 1 :]], size)) - own.base
      for i, own in enumerate(evidence)
    ]
    needed = [t - e.base for t, e in zip(truths, evidence, strict=True)]
    share = _trust(changes, needed)
    common = share[..., None] * fit_weights(sums, size)
    errors = [
      need - share[..., None] * change
      for need, change in zip(needed, changes, strict=True)
    ]
  model = _fit_errors(evidence, errors)
  looks = [
    (error / model.std(own)[..., None]).astype(np.float32)
    for error, own in zip(errors, evidence, strict=True)
  ]
  return Fitted(common, model, looks)


def without_examples(evidence: Evidence) -> ErrorModel:
  """The variance of errors where nothing is known but the disagreement."""
  nearby = np.zeros(evidence.base.shape[:2], np.float32)
  num = evidence.disagreement.shape[-1] - 1
  return ErrorModel(nearby, np.array([_NOISE**2, 0, 0.25, *num * [1.0]]))


def _trust(
  changes: Sequence[np.ndarray], needed: Sequence[np.ndarray]
) -> np.ndarray:
  """The share of the weights' changes that has least error, [H, W].

  Args:
    changes: Estimates minus bases, by weights that were learnt elsewhere.
    needed: Truths minus bases.
  """
  both = sum(
    np.sum(change * need, axis=-1)
    for change, need in zip(changes, needed, strict=True)
  )
  own = sum(np.sum(change**2, axis=-1) for change in changes)
  both, own = (
    ndimage.gaussian_filter(values, _TRUST_WINDOW, mode='nearest')
    for values in (both, own)
  )
  return (both / (own + 1e-9)).clip(0, 1)


def _fit_errors(
  evidence: Sequence[Evidence], errors: Sequence[np.ndarray]
) -> ErrorModel:
  """The variance of errors, from those of the examples, [H, W, C] each."""
  squares = [np.mean(error**2, axis=-1) for error in errors]
  nearby = ndimage.gaussian_filter(
    np.mean(squares, axis=0), _ERROR_WINDOW, mode='nearest'
  )
  terms = np.concatenate(
    [np.concatenate(_terms(nearby, one))[::_STEP] for one in evidence]
  )
  targets = np.concatenate([square.ravel()[::_STEP] for square in squares])
  # Relative errors of large and small variances count alike.
  certainty = 1 / (targets.mean() + terms[:, 1] + 1e-12)
  shares, _ = optimize.nnls(
    terms * certainty[:, None], targets * certainty, maxiter=200
  )
  shares[0] += _NOISE**2
  std = np.sqrt(terms @ shares)
  channels = errors[0].shape[-1]
  sampled = np.concatenate([e.reshape(-1, channels)[::_STEP] for e in errors])
  ratio = np.quantile(np.abs(sampled) / std[:, None], _QUANTILE)
  ratio = max(ratio / _NORMAL_QUANTILE, _LEAST_RATIO)
  return ErrorModel(nearby, shares * ratio**2)


def _terms(nearby: np.ndarray, evidence: Evidence) -> np.ndarray:
  """1, the mean squared error nearby, and the disagreements."""
  smooth = ndimage.gaussian_filter(
    evidence.disagreement, (1.0, 1.0, 0), mode='nearest'
  )
  ones = np.ones((*nearby.shape, 1))
  return np.concatenate([ones, nearby[..., None], smooth], axis=-1)


def _in_blocks(values: np.ndarray) -> np.ndarray:
  """Means of blocks, [h, w, ...]; the border's blocks repeat its pixels."""
  height, width = values.shape[:2]
  rest = [(0, -side % _BLOCK) for side in (height, width)]
  padded = np.pad(values, rest + [(0, 0)] * (values.ndim - 2), mode='edge')
  rows, columns = (side // _BLOCK for side in padded.shape[:2])
  shape = (rows, _BLOCK, columns, _BLOCK, *values.shape[2:])
  return padded.reshape(shape).mean(axis=(1, 3))


def _spread(values: np.ndarray) -> np.ndarray:
  """Means over the window around each block."""
  sigma = _WINDOW / _BLOCK
  axes = [sigma, sigma] + [0] * (values.ndim - 2)
  return ndimage.gaussian_filter(values, axes, mode='nearest')


def _to_pixels(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
  """Values of blocks [h, w, J], interpolated at pixels, [H, W, J]."""
  zoomed = ndimage.zoom(
    values, (_BLOCK, _BLOCK, 1), order=1, grid_mode=True, mode='nearest'
  )
  return zoomed[: size[0], : size[1]].astype(np.float32)
