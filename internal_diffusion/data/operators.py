"""Linear operators A of observations y = A x, and the ways back from y to x.

`LinearOperator` is the interface. An operator gives A itself and an approximate
inverse; the adjoint and the two exact ways back follow from A. The ways back
are one: for noise of variance s^2 in y and a clean estimate d of x with errors
of variance v, the most probable image given both is

  argmin_x |y - A x|^2 / s^2 + |x - d|^2 / v
    = d + v A^T (v A A^T + s^2 I)^-1 (y - A d).

For s = 0 it is the image with A x = y that is nearest to d; for v = 0 it is d.
Conjugate gradients solve the linear system (Hestenes & Stiefel 1952), unless
the operator knows its inverse.

The operators are in `data.pointwise` (identity, mask, luminance), `data.blur`
and `data.downscaling`; `Composition` is one after another.
"""

import functools

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.sparse import linalg
from jax.typing import ArrayLike

from internal_diffusion import arrays
from internal_diffusion.data.resampling import resample

Array = jax.Array
Size = tuple[int, int]

_CONVERGED = 1e-6  # Residual over the first one, at float32's precision.


class LinearOperator:
  """A linear map of images [..., H, W, C] to observations [..., h, w, c].

  Subclasses are frozen pytrees.
  """

  @property
  def input_size(self) -> Size:
    """Height and width of x."""
    raise NotImplementedError

  @property
  def output_size(self) -> Size:
    """Height and width of y = A x."""
    raise NotImplementedError

  def apply(self, image: Array) -> Array:
    """A x."""
    raise NotImplementedError

  def interpolate(self, observation: Array) -> Array:
    """A cheap approximate inverse of A, for smooth images nearly exact."""
    raise NotImplementedError

  def at_size(self, size: Size) -> 'LinearOperator':
    """The operator of the same scene as an image of another size.

    Its observation covers the same area, with min(h, H) x min(w, W) pixels for
    a size (H, W).
    """
    raise NotImplementedError

  def observation_at_size(self, observation: Array, size: Size) -> Array:
    """The observation that `at_size` makes of the same scene."""
    return resample(observation, self.at_size(size).output_size)

  def adjoint(self, observation: Array) -> Array:
    """A^T y: <A x, y> = <x, A^T y> for all images x.

    Args:
      observation: y, [..., h, w, c].

    Returns:
      [..., H, W, C].

    Raises:
      ValueError: If the observation has another size.
    """
    check_size('observation', observation, self.output_size)
    observation = jnp.asarray(observation)
    batch, channels = observation.shape[:-3], observation.shape[-1]
    image = jax.ShapeDtypeStruct(
      (*batch, *self.input_size, channels), observation.dtype
    )
    return jax.linear_transpose(self.apply, image)(observation)[0]

  def solve(
    self, residual: Array, weight: Array, shift: Array, num_steps: int
  ) -> Array:
    """(weight A A^T + shift I)^-1 applied to a residual, by `num_steps` of CG.

    Args:
      residual: [..., h, w, c].
      weight: At least 0, scalar.
      shift: At least 0, scalar or [h, w, 1 or c].
      num_steps: Number of conjugate gradient steps, for each image by itself.

    Returns:
      [..., h, w, c].
    """

    def system(y: Array) -> Array:
      return weight * self.apply(self.adjoint(y)) + shift * y

    def precondition(y: Array) -> Array:
      return self.precondition(y, weight, shift)

    def one(y: Array) -> Array:
      return linalg.cg(
        system, y, tol=_CONVERGED, maxiter=num_steps, M=precondition
      )[0]

    return jnp.vectorize(one, signature='(h,w,c)->(h,w,c)')(residual)

  def precondition(self, residual: Array, weight: Array, shift: Array) -> Array:
    """A cheap approximation of `solve`, symmetric and positive definite."""
    del weight, shift
    return residual

  def prox(
    self,
    denoised: Array | np.ndarray,
    observation: Array | np.ndarray,
    *,
    noise_std: ArrayLike,
    sigma: ArrayLike,
    num_steps: int = 8,
  ) -> Array:
    """The most probable image given a clean estimate and an observation.

    It is argmin_x |y - A x|^2 / noise_std^2 + |x - denoised|^2 / sigma^2. A
    `noise_std` of 0 makes A x = y exact. Otherwise a `sigma` of 0 leaves the
    estimate alone.

    Args:
      denoised: Clean estimate of x, [..., H, W, C].
      observation: y, [..., h, w, c]; leading axes broadcast.
      noise_std: Standard deviation of the noise in y, scalar or [h, w, 1 or c].
      sigma: Standard deviation of the estimate's error, scalar.
      num_steps: Number of conjugate gradient steps, which start at `denoised`.

    Returns:
      [..., H, W, C], not clipped.

    Raises:
      ValueError: If an image has another size or `num_steps` is not positive.
    """
    arrays.check_positive_int('num_steps', num_steps)
    check_size('image', denoised, self.input_size)
    check_size('observation', observation, self.output_size)
    return _prox(
      self,
      denoised,
      observation,
      # One type for all numbers, so that each compiles nothing.
      jnp.asarray(noise_std, jnp.float32),
      jnp.asarray(sigma, jnp.float32),
      num_steps=num_steps,
    )

  def back_project(
    self,
    image: Array | np.ndarray,
    observation: Array | np.ndarray,
    *,
    num_steps: int = 8,
  ) -> Array:
    """The nearest image with A x = y: x + A^T (A A^T)^-1 (y - A x).

    An operator may suppress a frequency band that y should have. The band then
    returns last: few steps leave it out, and with it the noise and rounding
    errors of y that the inverse would amplify.

    Args:
      image: x, [..., H, W, C].
      observation: y, [..., h, w, c]; leading axes broadcast.
      num_steps: Number of conjugate gradient steps.

    Returns:
      [..., H, W, C], not clipped.

    Raises:
      ValueError: If an image has another size or `num_steps` is not positive.
    """
    return self.prox(
      image, observation, noise_std=0.0, sigma=1.0, num_steps=num_steps
    )


@functools.partial(jax.jit, static_argnames='num_steps')
def _prox(
  operator: LinearOperator,
  denoised: Array,
  observation: Array,
  noise_std: Array,
  sigma: Array,
  *,
  num_steps: int,
) -> Array:
  """See `LinearOperator.prox`."""
  shape = (*denoised.shape[:-3], *observation.shape[-3:])
  residual = jnp.broadcast_to(observation, shape) - operator.apply(denoised)
  # Both variances over their sum: the solution depends on their ratio only.
  variance, noise_variance = sigma**2, noise_std**2
  total = variance + jnp.mean(noise_variance)
  is_exact = total == 0
  weight = jnp.where(is_exact, 1.0, variance / jnp.where(is_exact, 1.0, total))
  shift = noise_variance / jnp.where(is_exact, 1.0, total)
  solution = operator.solve(residual, weight, shift, num_steps)
  return denoised + weight * operator.adjoint(solution)


@flax.struct.dataclass
class Composition(LinearOperator):
  """One operator after another: A x = outer(inner(x)).

  Attributes:
    outer: The second one.
    inner: The first one; its observations are images of `outer`.
  """

  outer: LinearOperator
  inner: LinearOperator

  @property
  def input_size(self) -> Size:
    """Height and width of x."""
    return self.inner.input_size

  @property
  def output_size(self) -> Size:
    """Height and width of y."""
    return self.outer.output_size

  def apply(self, image: Array) -> Array:
    """A x."""
    return self.outer.apply(self.inner.apply(image))

  def adjoint(self, observation: Array) -> Array:
    """A^T y."""
    return self.inner.adjoint(self.outer.adjoint(observation))

  def interpolate(self, observation: Array) -> Array:
    """The approximate inverses of both."""
    return self.inner.interpolate(self.outer.interpolate(observation))

  def at_size(self, size: Size) -> 'Composition':
    """Both at another size."""
    inner = self.inner.at_size(size)
    return Composition(self.outer.at_size(inner.output_size), inner)

  def observation_at_size(self, observation: Array, size: Size) -> Array:
    """The observation that `at_size` makes of the same scene."""
    between = self.inner.at_size(size).output_size
    return self.outer.observation_at_size(observation, between)


def compose(outer: LinearOperator, inner: LinearOperator) -> Composition:
  """The operator `outer` of what `inner` observes.

  Raises:
    ValueError: If the sizes do not match.
  """
  if outer.input_size != inner.output_size:
    raise ValueError(
      f'`outer` must take images of {inner.output_size}, the size that `inner`'
      f' gives, got {outer.input_size}.'
    )
  return Composition(outer, inner)


def check_size(name: str, image: Array | np.ndarray, size: Size) -> None:
  """Raises ValueError unless an image is [..., H, W, C] of this size."""
  if image.ndim < 3 or image.shape[-3:-1] != size:
    raise ValueError(
      f'`{name}` must be [..., {size[0]}, {size[1]}, C], got shape'
      f' {image.shape}.'
    )
