"""Groups of similar patches of a picture with noisy and missing pixels.

Each patch has a Gaussian of its own. Its mean m is that of the M patches of a
guide, a first estimate of the picture, that are most similar to it and near it.
Its covariance is a weighted mean of theirs and of that of its component in a
mixture of all patches,

  C = (sum_i (g_i - m)(g_i - m)^T + rho C_k) / (M + rho),

the mode of the posterior of C under an inverse Wishart prior (Aguerrebere et
al. 2017). The patch then has its exact conditional given what is observed of
it, and overlapping patches are averaged by the inverse of their variance.
"""

import math

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion.denoisers.guided_mixture import GuidedMixture
from internal_diffusion.denoisers.masked_gaussian import condition, in_chunks
from internal_diffusion.denoisers.window_search import (
  find_similar,
  find_similar_to,
  grid,
)
from internal_diffusion.types import Condition, static

Array = jax.Array

_CHUNK = 256  # Patches at a time.
_GUIDE_STD = 4 * 2 / 255  # Error of the guide where components are assigned.
_SMALLEST_VARIANCE = 1e-5  # Added to the variance that weighs a patch.
_FEW = 0.5  # Share of the patches that are searched one by one, at most.
_NUM_PARTS = 8  # Numbers of patches are multiples of this fraction of all.


@flax.struct.dataclass
class MaskedGroups:
  """A Gaussian for each patch, and what is observed of the picture.

  It is also the denoiser of pictures given the observation: a state x of noise
  level sigma is one more observation of each pixel, with precision 1 / sigma^2.

  Attributes:
    guide: First estimate of the picture, [H, W, C].
    similar: Top left pixels of the similar patches of each patch that is
      estimated, as indices into the H W pixels, [N, M]; the first is the patch
      itself.
    component: Component of each patch in the mixture, [N].
    mixture: Mixture of all patches.
    observed: Observed pixels, [H, W, C].
    precision: Inverse variances of their noise, 0 where missing, [H, W, C].
    rho: Weight of the mixture's covariance, as a number of patches.
    hidden_share: Share of a patch's posterior variance that is added to its
      covariance: what the guide lacks.
    patch_size: Side P of a patch, in pixels.
    adds_hidden: Whether `hidden_share` is not 0.
  """

  guide: Array
  similar: Array
  component: Array
  mixture: GuidedMixture
  observed: Array
  precision: Array
  rho: Array
  hidden_share: Array
  patch_size: int = static()
  adds_hidden: bool = static(default=False)

  @property
  def reach(self) -> int:
    """Distance at which pixels influence an estimate, in pixels."""
    return self.patch_size

  def __call__(
    self, x: Array, sigma: Array, cond: Condition | None = None
  ) -> Array:
    """Posterior mean of pictures given states [B, H, W, C] of one level."""
    del cond
    own = 1 / sigma**2
    total = self.precision + own
    known = self.precision * self.observed
    both = (known[None] + own * x) / total[None]
    return self._estimate(both, total)[0]

  def posterior(self) -> tuple[Array, Array]:
    """Mean and variance given what is observed, each [H, W, C]."""
    mean, variance = self._estimate(self.observed[None], self.precision)
    return mean[0], variance

  def _estimate(self, x: Array, precision: Array) -> tuple[Array, Array]:
    """Means [B, H, W, C] and variance given pictures of one precision.

    A pixel that no patch covers keeps its value.
    """
    num, height, width, channels = x.shape
    offsets = np.arange(self.patch_size)
    inside = (offsets[:, None] * width + offsets).reshape(1, -1)
    guide = self.guide.reshape(-1, channels)
    # All pictures, and the precision, as channels.
    both = jnp.concatenate([x, precision[None]]).reshape(num + 1, -1, channels)
    both = jnp.swapaxes(both, 0, 1)

    def chunk(similar: Array, component: Array) -> tuple[Array, Array]:
      own = similar[:, :1] + inside
      cut = jnp.moveaxis(both[own], 2, 1).reshape(len(own), num + 1, -1)
      x, q = cut[:, :-1], cut[:, -1]
      members = guide[similar[..., None] + inside[None]].reshape(
        *similar.shape, -1
      )
      mean, covariance = self._gaussian(members, component)
      if self.adds_hidden:
        seen = self.precision.reshape(-1, channels)[own].reshape(len(own), -1)
        hidden = condition(x, seen, mean, covariance).covariance
        covariance += self.hidden_share * hidden
      found = condition(x, q, mean, covariance)
      variance = jnp.diagonal(found.covariance, axis1=1, axis2=2)
      return found.mean, jnp.maximum(variance, 1e-7)

    means, variances = in_chunks(chunk, _CHUNK, self.similar, self.component)
    weights = 1 / (jnp.mean(variances, axis=-1) + _SMALLEST_VARIANCE)
    values = jnp.concatenate([means, variances[:, None]], axis=1)
    values = values.reshape(len(values), num + 1, -1, channels)
    total, weight = _overlap_add(
      values, weights, self.similar[:, 0], inside[0], height * width
    )
    total = jnp.swapaxes(total, 0, 1).reshape(num + 1, height, width, channels)
    is_covered = weight.reshape(height, width, 1) > 0
    mean = jnp.where(is_covered[None], total[:-1], x)
    return mean, jnp.where(is_covered, total[-1], 0)

  def _gaussian(self, members: Array, component: Array) -> tuple[Array, Array]:
    """Mean and covariance of each group [N, M, D]."""
    mean = jnp.mean(members, axis=1)
    centred = members - mean[:, None]
    sums = jnp.swapaxes(centred, 1, 2) @ centred
    prior = self.mixture.covariances[component]
    total = members.shape[1] + self.rho
    return mean, (sums + self.rho * prior) / total


def make_masked_groups(
  guide: Array,
  mixture: GuidedMixture,
  observed: Array,
  precision: Array,
  *,
  patch_size: int,
  stride: int,
  rho: float = 8.0,
  hidden_share: float = 0.0,
  wanted: np.ndarray | None = None,
) -> MaskedGroups:
  """Finds the groups of a picture; the arguments are those of `MaskedGroups`.

  Args:
    guide: [H, W, C].
    mixture: Mixture of patches, [P*P*C].
    observed: [H, W, C]; finite, but not used where missing.
    precision: [H, W, C].
    patch_size: P.
    stride: Distance of the patches that are estimated, in pixels.
    rho: Positive.
    hidden_share: At least 0.
    wanted: Pixels that must be estimated, [H, W]; None is all.
  """
  if wanted is None:
    similar = find_similar(guide, patch_size=patch_size, stride=stride)
  else:
    similar = _similar_of_wanted(guide, wanted, patch_size, stride)
  offsets = np.arange(patch_size)
  inside = (offsets[:, None] * guide.shape[1] + offsets).reshape(1, -1)
  pixels = similar[:, :1] + inside
  vectors = guide.reshape(-1, guide.shape[-1])[pixels].reshape(len(pixels), -1)
  return MaskedGroups(
    guide,
    similar,
    mixture.assign(vectors, noise_std=_GUIDE_STD),
    mixture,
    observed,
    precision,
    jnp.float32(rho),
    jnp.float32(hidden_share),
    patch_size,
    hidden_share > 0,
  )


def _similar_of_wanted(
  guide: Array, wanted: np.ndarray, patch_size: int, stride: int
) -> Array:
  """As `find_similar`, for the patches of `_touching` alone."""
  chosen = _touching(wanted, patch_size, stride)
  rows, columns = (grid(side - patch_size, stride) for side in wanted.shape)
  corners = (rows[:, None] * wanted.shape[1] + columns).ravel()
  if len(chosen) > _FEW * len(corners):
    return find_similar(guide, patch_size=patch_size, stride=stride)[chosen]
  corners = jax.device_put(corners[chosen].astype(np.int32))
  return find_similar_to(guide, corners, patch_size=patch_size)


def _touching(wanted: np.ndarray, patch_size: int, stride: int) -> np.ndarray:
  """Indices of the patches of a grid that hold a wanted pixel, and of others.

  The number is rounded up, so that few numbers are compiled for.

  Args:
    wanted: [H, W].
    patch_size: Side of a patch.
    stride: As of `find_similar`.
  """
  windows = np.lib.stride_tricks.sliding_window_view(
    wanted, (patch_size, patch_size)
  )
  rows, columns = (grid(side - 1, stride) for side in windows.shape[:2])
  touches = np.asarray(windows.any(axis=(2, 3)))[np.ix_(rows, columns)].ravel()
  parts = np.ceil(_NUM_PARTS * max(touches.mean(), 1e-9))
  num = math.ceil(len(touches) * parts / _NUM_PARTS)
  return np.sort(np.argsort(~touches, stable=True)[:num])


def _overlap_add(
  values: Array, weights: Array, corners: Array, inside: np.ndarray, num: int
) -> tuple[Array, Array]:
  """Weighted averages of patches [N, B, P*P, C], and the sums of weights.

  Returns:
    Averages at each pixel, [num, B, C], 0 where no patch is; sums, [num].
  """
  weighed = weights[:, None, None, None] * values

  def add(place: Array, total: tuple[Array, Array]) -> tuple[Array, Array]:
    pixels = corners + jnp.asarray(inside)[place]
    here = jax.lax.dynamic_index_in_dim(weighed, place, 2, keepdims=False)
    return (
      total[0].at[pixels].add(here, unique_indices=True),
      total[1].at[pixels].add(weights, unique_indices=True),
    )

  nothing = (
    jnp.zeros((num, values.shape[1], values.shape[3])),
    jnp.zeros(num),
  )
  total, weight = jax.lax.fori_loop(0, len(inside), add, nothing)
  covered = jnp.maximum(weight, jnp.finfo(weight.dtype).tiny)
  return total / covered[:, None, None], weight
