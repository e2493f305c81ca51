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

import functools

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion.denoisers.guided_mixture import GuidedMixture
from internal_diffusion.denoisers.masked_gaussian import condition, in_chunks
from internal_diffusion.types import Condition, static

Array = jax.Array

_NUM_SIMILAR, _RADIUS = 50, 10  # M, and the largest distance, in pixels.
_CHUNK = 256  # Patches at a time.
_GUIDE_STD = 4 * 2 / 255  # Error of the guide where components are assigned.
_SMALLEST_VARIANCE = 1e-5  # Added to the variance that weighs a patch.
_ROWS = 8  # Rows of patches that are searched at a time.


@flax.struct.dataclass
class MaskedGroups:
  """A Gaussian for each patch, and what is observed of the picture.

  It is also the denoiser of pictures given the observation: a state x of noise
  level sigma is one more observation of each pixel, with precision 1 / sigma^2.

  Attributes:
    guide: First estimate of the picture, [H, W, C].
    similar: Top left pixels of the similar patches, as indices into the H W
      pixels, [N, M]; the first is the patch itself.
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
    """Means [B, H, W, C] and variance given pictures of one precision."""
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
    total = _overlap_add(
      values, weights, self.similar[:, 0], inside[0], height * width
    )
    total = jnp.swapaxes(total, 0, 1).reshape(num + 1, height, width, channels)
    return total[:-1], total[-1]

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
  """
  similar = find_similar(guide, patch_size=patch_size, stride=stride)
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


@functools.partial(jax.jit, static_argnames=('patch_size', 'stride'))
def find_similar(guide: Array, *, patch_size: int, stride: int) -> Array:
  """Top left pixels of the patches nearest to each patch of a grid.

  Args:
    guide: Picture, [H, W, C].
    patch_size: Side of a patch.
    stride: Largest distance of patches of the grid, in pixels.

  Returns:
    Indices into the H W pixels, [N, M], the patch itself first; M is smaller in
    a picture of few patches.
  """
  height, width, _ = guide.shape
  rows, columns = (_grid(side - patch_size, stride) for side in (height, width))
  inside = np.arange(patch_size)
  reach = np.arange(-_RADIUS, _RADIUS + 1)
  moves = np.stack(np.meshgrid(reach, reach, indexing='ij'), -1).reshape(-1, 2)
  edge = ((_RADIUS, _RADIUS), (_RADIUS, _RADIUS), (0, 0))
  around = jnp.pad(guide, edge)
  column = columns[:, None] + moves[:, 1]
  is_column = (column >= 0) & (column <= width - patch_size)
  num = min(_NUM_SIMILAR, (height - patch_size + 1) * (width - patch_size + 1))

  def of_row(row: Array) -> Array:
    own = jax.lax.dynamic_slice_in_dim(guide, row, patch_size)

    def of_move(move: Array) -> Array:
      start = row + move[0] + _RADIUS, move[1] + _RADIUS, 0
      other = jax.lax.dynamic_slice(around, start, own.shape)
      by_column = jnp.sum((own - other) ** 2, axis=(0, 2))
      return jnp.sum(by_column[columns[:, None] + inside], axis=1)

    distance = jax.vmap(of_move)(jnp.asarray(moves)).T
    moved = row + moves[:, 0]
    is_row = (moved >= 0) & (moved <= height - patch_size)
    distance = jnp.where(is_column & is_row[None], distance, jnp.inf)
    itself = len(moves) // 2
    distance = distance.at[:, itself].set(-1)
    nearest = jax.lax.top_k(-distance, num)[1]
    top = row + jnp.asarray(moves)[nearest, 0]
    left = columns[:, None] + jnp.asarray(moves)[nearest, 1]
    return jnp.clip(top, 0, height - patch_size) * width + jnp.clip(
      left, 0, width - patch_size
    )

  found = jax.lax.map(of_row, jnp.asarray(rows), batch_size=_ROWS)
  return found.reshape(-1, num)


def _grid(last: int, stride: int) -> np.ndarray:
  """Positions from 0 to `last`, both among them."""
  return np.unique(np.append(np.arange(0, last, stride), last))


def _overlap_add(
  values: Array, weights: Array, corners: Array, inside: np.ndarray, num: int
) -> Array:
  """Weighted averages of patches [N, B, P*P, C] at each pixel, [num, B, C]."""
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
  return total / weight[:, None, None]
