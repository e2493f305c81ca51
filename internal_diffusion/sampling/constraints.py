"""What is known of the clean image, imposed while it is sampled.

A constraint is a frozen pytree with four methods. Each has a default that
changes nothing, so a constraint defines only what it needs:

- `at_size` carries it to a pyramid level of another size;
- `project` moves a clean estimate to the nearest one that satisfies it;
- `wrap` changes what the denoiser sees (the border, for instance);
- `project_noise` makes the initial noise satisfy it too.

Samplers take a sequence of constraints and apply them in its order.
`project` receives the noisy x and sigma too: a constraint may hold above a
noise level only, or use x - denoised, and it may draw noise from its key.
"""

from collections.abc import Sequence
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion import arrays
from internal_diffusion.data.downscaling import Downscaling, make_downscaling
from internal_diffusion.data.jpeg import JpegCells
from internal_diffusion.data.operators import LinearOperator, Size
from internal_diffusion.data.pointwise import Identity
from internal_diffusion.data.resampling import Border, resample
from internal_diffusion.data.space_time import SpaceTimeDownscaling
from internal_diffusion.types import (
  BoundDenoiseFn,
  Condition,
  Denoiser,
  static,
)

Array = jax.Array


class Constraint:
  """A property of the clean image. Subclasses are frozen pytrees."""

  @property
  def border(self) -> Border:
    """What an image that satisfies it is beyond its border."""
    return Border.REPLICATE

  @property
  def time_border(self) -> Border:
    """What a clip that satisfies it is before its start and after its end."""
    return Border.REPLICATE

  def at_size(self, size: Any) -> 'Constraint':
    """The constraint on the same image at another (height, width).

    The size of a clip is (length, height, width).
    """
    del size
    return self

  def project(
    self, key: Array, denoised: Array, x: Array, sigma: Array
  ) -> Array:
    """Imposes the constraint on a clean estimate.

    Args:
      key: Key of the projection, for constraints that draw noise.
      denoised: Clean estimate, [B, ...].
      x: Noisy samples that it was estimated from, [B, ...].
      sigma: Their noise level, scalar; 0 for a finished sample.

    Returns:
      The estimate that satisfies the constraint, [B, ...].
    """
    del key, x, sigma
    return denoised

  def wrap(self, denoiser: Denoiser) -> Denoiser:
    """The denoiser to use under the constraint."""
    return denoiser

  def project_noise(self, noise: Array) -> Array:
    """Initial noise [B, ...] of unit variance that satisfies the constraint."""
    return noise


def bind(
  denoiser: Denoiser | BoundDenoiseFn,
  cond: Condition | None,
  constraints: Sequence[Constraint],
) -> BoundDenoiseFn:
  """The denoiser with its condition bound, and wrapped by constraints.

  The first constraint is the innermost one. A condition None is not passed on.
  """
  wrapped: Any = denoiser
  for constraint in constraints:
    wrapped = constraint.wrap(wrapped)
  if cond is None:
    return wrapped
  return lambda x, sigma: wrapped(x, sigma, cond)


def project(
  key: Array,
  denoised: Array,
  x: Array,
  sigma: Array,
  constraints: Sequence[Constraint],
) -> Array:
  """Imposes constraints one after the other; see `Constraint.project`."""
  for index, constraint in enumerate(constraints):
    own_key = arrays.fold_in(key, index)
    denoised = constraint.project(own_key, denoised, x, sigma)
  return denoised


@flax.struct.dataclass
class LinearObservation(Constraint):
  """An observation y = A x + noise.

  Attributes:
    operator: A, for images of the output's size.
    observation: y, [h, w, c] or [B, h, w, c].
    noise_std: Standard deviation of the noise, scalar or [h, w, 1 or c]; 0
      makes A x = y exact.
    num_steps: Steps of conjugate gradients of a projection, for operators
      without a closed form.
  """

  operator: LinearOperator
  observation: Array
  noise_std: float | Array = 0.0
  num_steps: int = static(default=8)

  def at_size(self, size: Size) -> 'LinearObservation':
    """The same observation of an image of another size."""
    operator, noise_std = self.operator.at_size(size), self.noise_std
    if jnp.ndim(noise_std):
      noise_std = resample(jnp.asarray(noise_std), operator.output_size)
    return LinearObservation(
      operator,
      self.operator.observation_at_size(self.observation, size),
      noise_std,
      self.num_steps,
    )

  def project(
    self, key: Array, denoised: Array, x: Array, sigma: Array
  ) -> Array:
    """The most probable image given y and the estimate, of error `sigma`."""
    del key, x
    return self.operator.prox(
      denoised,
      self.observation,
      noise_std=self.noise_std,
      sigma=sigma,
      num_steps=self.num_steps,
    )


@flax.struct.dataclass
class QuantisationCells(Constraint):
  """The picture becomes a given JPEG file when it is encoded.

  Attributes:
    cells: The cells of the file's coefficients.
  """

  cells: JpegCells

  def at_size(self, size: Size) -> Constraint:
    """At another size, the decoded picture with the noise of quantisation."""
    if size == self.cells.size:
      return self
    return LinearObservation(
      Identity(size),
      resample(self.cells.decode(), size),
      self.cells.noise_std(),
    )

  def project(
    self, key: Array, denoised: Array, x: Array, sigma: Array
  ) -> Array:
    """The most probable picture in the cells, given the estimate."""
    del key, x
    return self.cells.project(denoised, sigma)


@flax.struct.dataclass
class LowBand(Constraint):
  """A coarser version of the image: x + up(coarse - down(x)).

  This is `LinearObservation` with interpolation as the inverse, which leaves
  the denoiser every detail that the coarser image cannot hold. Make it with
  `make_low_band`.

  Attributes:
    operator: Downscaling to the coarser image's size.
    coarse: The coarser image, [..., h, w, C], or clip, [..., t, h, w, C].
    sigma_min: Noise level at and below which the estimate is left alone.
  """

  operator: Downscaling | SpaceTimeDownscaling
  coarse: Array
  sigma_min: float | Array

  def at_size(self, size: Any) -> 'LowBand':
    """The same constraint on an image of another size."""
    operator = self.operator.at_size(size)
    coarse = resample(self.coarse, operator.output_size)
    return LowBand(operator, coarse, self.sigma_min)

  def enlarged(self) -> Array:
    """The coarser image at the output's size, [..., H, W, C]."""
    return self.operator.interpolate(self.coarse)

  def project(
    self, key: Array, denoised: Array, x: Array, sigma: Array
  ) -> Array:
    """The estimate with the coarser image's low band."""
    del key, x
    residual = self.coarse - self.operator.apply(denoised)
    kept = denoised + self.operator.interpolate(residual)
    return jnp.where(sigma > self.sigma_min, kept, denoised)


def make_low_band(
  coarse: Array,
  size: tuple[int, ...],
  *,
  sigma_min: float | Array = 0.0,
  border: Border = Border.REPLICATE,
  time_border: Border = Border.REPLICATE,
) -> LowBand:
  """The constraint that an image of a given size has a known coarser version.

  Args:
    coarse: [..., h, w, C], or a clip, [..., t, h, w, C].
    size: (height, width) of the image, at least [h, w], or (length, height,
      width) of the clip.
    sigma_min: Noise level at and below which the estimate is left alone.
    border: What the image is beyond its border.
    time_border: What a clip is before its start and after its end.

  Raises:
    ValueError: If the image is smaller than the coarser one.
  """
  height, width = coarse.shape[-3:-1]
  operator: Downscaling | SpaceTimeDownscaling
  if len(size) == 3:
    operator = SpaceTimeDownscaling.create(
      (coarse.shape[-4], height, width),
      (size[0], size[1], size[2]),
      border=border,
      time_border=time_border,
    )
  else:
    operator = make_downscaling(
      (height, width), (size[0], size[1]), border=border
    )
  return LowBand(operator, coarse, sigma_min)


@flax.struct.dataclass
class MirrorSymmetry(Constraint):
  """The image is its own mirror image.

  Attributes:
    axis: Axis that is reversed: 0 mirrors top and bottom, 1 left and right.
  """

  axis: int = static()

  def project(
    self, key: Array, denoised: Array, x: Array, sigma: Array
  ) -> Array:
    """The mean of the estimate [B, H, W, C] and its mirror image."""
    del key, x, sigma
    return (denoised + jnp.flip(denoised, 1 + self.axis)) / 2

  def project_noise(self, noise: Array) -> Array:
    """Symmetric noise of unit variance."""
    return (noise + jnp.flip(noise, 1 + self.axis)) / np.sqrt(2)
