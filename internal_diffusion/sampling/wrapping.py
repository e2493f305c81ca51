"""Constraints of images and clips whose opposite ends meet."""

import flax.struct
import jax
import jax.numpy as jnp

from internal_diffusion.data.resampling import Border
from internal_diffusion.sampling.constraints import Constraint
from internal_diffusion.types import Condition, Denoiser, static

Array = jax.Array


@flax.struct.dataclass
class WrappedBorder(Constraint):
  """Opposite borders of the image meet, so that its copies tile a plane.

  Attributes:
    margin: Pixels of the opposite border that the denoiser sees. None is the
      denoiser's `reach`: the distance at which pixels influence an estimate.
  """

  margin: int | None = static(default=None)

  @property
  def border(self) -> Border:
    """Opposite borders meet."""
    return Border.WRAP

  def wrap(self, denoiser: Denoiser) -> Denoiser:
    """The denoiser of images [B, H, W, C] with pixels of the opposite border.

    Raises:
      ValueError: If `margin` is None and the denoiser has no `reach`.
    """
    margin = self.margin
    if margin is None:
      margin = getattr(denoiser, 'reach', None)
    if margin is None:
      raise ValueError(
        '`margin` must be given for a denoiser without `reach`, got None.'
      )

    def wrapped(x: Array, sigma: Array, cond: Condition | None = None) -> Array:
      padded = pad_wrapped(x, margin)
      inside = slice(margin, -margin)
      if cond is None:
        return denoiser(padded, sigma)[:, inside, inside]
      if cond.image is not None:
        # The coarser level covers the same area.
        coarse_margin = round(margin * cond.image.shape[1] / x.shape[1])
        cond = cond._replace(image=pad_wrapped(cond.image, coarse_margin))
      return denoiser(padded, sigma, cond)[:, inside, inside]

    return wrapped


@flax.struct.dataclass
class WrappedTime(Constraint):
  """The last frame of a clip leads to the first, so that it is a loop.

  Attributes:
    margin: Frames of the other end that the denoiser sees.
  """

  margin: int = static(default=2)

  @property
  def time_border(self) -> Border:
    """The ends meet."""
    return Border.WRAP

  def wrap(self, denoiser: Denoiser) -> Denoiser:
    """The denoiser of clips [B, T, H, W, C] with frames of the other end."""
    margin = self.margin

    def wrapped(x: Array, sigma: Array, cond: Condition | None = None) -> Array:
      del cond  # The coarser level, which a closed form does not use.
      around = ((0, 0), (margin, margin), (0, 0), (0, 0), (0, 0))
      padded = jnp.pad(x, around, mode='wrap')
      return denoiser(padded, sigma)[:, margin:-margin]

    return wrapped


def pad_wrapped(x: Array, margin: int) -> Array:
  """Images [B, H, W, C] with `margin` pixels of the opposite border around."""
  edge = (margin, margin)
  return jnp.pad(x, ((0, 0), edge, edge, (0, 0)), mode='wrap')
