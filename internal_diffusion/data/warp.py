"""Backward warping of images, and inversion of flows.

A flow (u, v) maps pixel (x, y) to (x + u, y + v) of the other frame, in pixels,
u to the right and v down. Backward warping samples the other frame there:

  warped[y, x] = image[y + v, x + u].

Interpolation is cubic (Keys 1981, a = -1/2; third order in the pixel distance)
or bilinear (second order). Both are exact at whole displacements. Values are
not clipped: cubics overshoot at edges.

Reference:
  Keys 1981, Cubic convolution interpolation for digital image processing.
"""

import jax
import jax.numpy as jnp

from internal_diffusion import arrays
from internal_diffusion.data import patches
from internal_diffusion.jax_settings import with_own_settings

Array = jax.Array

_MIN_SIDE = 3  # Quadratic extrapolation needs three pixels.
# Convergence of the inverse, in pixels. The rounding error of coordinates at a
# side of 4096 pixels is four times smaller.
_TOLERANCE = 1e-3
_MAX_ITERATIONS = 200


def warp(
  image: Array, flow: Array, *, interpolation: str = 'cubic'
) -> tuple[Array, Array]:
  """Warps an image backward along a flow.

  Args:
    image: Image or any other field, [H, W, C], at least 3 pixels a side.
    flow: Displacement of each sampling position, (u, v), [H, W, 2].
    interpolation: 'cubic' or 'bilinear'.

  Returns:
    The warped image, [H, W, C]; outside the image the border is repeated. And
    the mask of pixels sampled inside, [H, W] booleans, False where the flow is
    not finite.

  Raises:
    ValueError: If an argument is invalid.

  Example:
    >>> image = jnp.arange(12.0).reshape(3, 4, 1)
    >>> right = jnp.tile(jnp.array([1.0, 0.0]), (3, 4, 1))
    >>> warped, inside = warp(image, right)
    >>> warped[0, :, 0].tolist(), inside[0].tolist()
    ([1.0, 2.0, 3.0, 3.0], [True, True, True, False])
  """
  check_flow('flow', flow)
  if image.ndim != 3 or image.shape[:2] != flow.shape[:2]:
    raise ValueError(
      '`image` must be [H, W, C] of the size of `flow`, got shapes'
      f' {image.shape} and {flow.shape}.'
    )
  if interpolation not in ('cubic', 'bilinear'):
    raise ValueError(
      f"`interpolation` must be 'cubic' or 'bilinear', got {interpolation!r}."
    )
  row, column = _targets(flow)
  if interpolation == 'cubic':
    image = _extrapolate(_extrapolate(image, axis=0), axis=1)
  top, row_weights = _taps(row, flow.shape[0], interpolation)
  left, column_weights = _taps(column, flow.shape[1], interpolation)
  warped = jnp.zeros((*flow.shape[:2], image.shape[-1]), flow.dtype)
  for dy, row_weight in enumerate(row_weights):
    for dx, column_weight in enumerate(column_weights):
      weight = (row_weight * column_weight)[..., None]
      warped += weight * image[top + dy, left + dx]
  return warped, stays_inside(flow)


def stays_inside(flow: Array) -> Array:
  """Mask of the pixels that a flow [H, W, 2] keeps inside the image, [H, W]."""
  row, column = _targets(flow)
  height, width = row.shape
  inside = (row >= 0) & (row <= height - 1)
  return inside & (column >= 0) & (column <= width - 1)


def invert_flow(flow: Array) -> Array:
  """Inverse flow: from the pixels of the second frame to the first.

  The inverse g of a flow f is the fixed point of g(x) = -f(x + g(x)). Each
  iteration reduces the error by the factor c, the `steepness` of f. The
  iteration stops when no vector moves by more than 1e-3 pixels, so the error is
  at most c / (1 - c) times that: 0.009 pixels at c = 0.9. Where x + g(x) is
  outside, f takes its value at the border.

  Args:
    flow: (u, v), [H, W, 2], of a steepness below 1.

  Returns:
    The inverse (u, v), [H, W, 2].

  Raises:
    ValueError: If `flow` is not [H, W, 2].
  """
  check_flow('flow', flow)

  def moves(state: tuple[Array, Array, Array]) -> Array:
    count, _, change = state
    return (count < _MAX_ITERATIONS) & (change > _TOLERANCE)

  def iterate(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
    count, inverse, _ = state
    following = -warp(flow, inverse)[0]
    return count + 1, following, jnp.max(jnp.abs(following - inverse))

  start = jnp.asarray(0), -flow, jnp.asarray(jnp.inf, flow.dtype)
  return jax.lax.while_loop(moves, iterate, start)[1]


def steepness(flow: Array) -> Array:
  """Largest singular value of a flow's Jacobian over all pixels, a scalar.

  Below 1, no two pixels have the same target, and `invert_flow` converges.
  """
  check_flow('flow', flow)
  along_x = jnp.diff(flow, axis=1)[:-1]
  along_y = jnp.diff(flow, axis=0)[:, :-1]
  jacobian = jnp.stack([along_x, along_y], axis=-1)
  return jnp.max(jnp.linalg.norm(jacobian, ord=2, axis=(-2, -1)))


@with_own_settings
def frames_between(
  first: Array, second: Array, flow: Array, *, num_frames: int
) -> Array:
  """Interpolates frames at equal time steps between two frames.

  The frame at time t is the average, with weights 1 - t and t, of the first
  frame warped by t times the flow and the second warped back by 1 - t times the
  flow. Where one of them is sampled outside, the other is used alone. Two
  iterations of the equation in `invert_flow` estimate the flow at time t; the
  result is for display, not a ground truth.

  Args:
    first: Frame at time 0, [H, W, C].
    second: Frame at time 1, [H, W, C].
    flow: Flow from the first to the second, (u, v), [H, W, 2].
    num_frames: Number of frames, at times 0, ..., 1.

  Returns:
    The frames, [num_frames, H, W, C], in the range of the two frames.

  Raises:
    ValueError: If the shapes differ or `num_frames` is not positive.
  """
  if first.shape != second.shape:
    raise ValueError(
      '`first` and `second` must have one shape, got'
      f' {first.shape} and {second.shape}.'
    )
  arrays.check_positive_int('num_frames', num_frames)

  def frame_at(time: Array) -> Array:
    motion = flow
    for _ in range(2):
      motion, _ = warp(flow, -time * motion, interpolation='bilinear')
    from_first, is_in_first = warp(first, -time * motion)
    from_second, is_in_second = warp(second, (1 - time) * motion)
    # The small number is for pixels outside both.
    first_weight = (1 - time) * (is_in_first + 1e-6)
    second_weight = time * (is_in_second + 1e-6)
    fraction = (second_weight / (first_weight + second_weight))[..., None]
    return (1 - fraction) * from_first + fraction * from_second

  frames = jax.lax.map(frame_at, jnp.linspace(0.0, 1.0, num_frames))
  low = jnp.minimum(jnp.min(first), jnp.min(second))
  high = jnp.maximum(jnp.max(first), jnp.max(second))
  return jnp.clip(frames, low, high)


def check_flow(name: str, flow: Array) -> None:
  """Raises ValueError unless `flow` is [H, W, 2] of floats, 3 pixels a side."""
  is_field = flow.ndim == 3 and flow.shape[-1] == 2
  if not is_field or min(flow.shape[:2]) < _MIN_SIDE:
    raise ValueError(
      f'`{name}` must be [H, W, 2] with H and W at least {_MIN_SIDE}, got shape'
      f' {flow.shape}.'
    )
  if not jnp.issubdtype(flow.dtype, jnp.floating):
    raise ValueError(f'`{name}` must hold floats, got {flow.dtype}.')


def _targets(flow: Array) -> tuple[Array, Array]:
  """Row and column of each pixel's sampling position, [H, W] each."""
  rows, columns = jnp.indices(flow.shape[:2], dtype=flow.dtype)
  return rows + flow[..., 1], columns + flow[..., 0]


def _extrapolate(image: Array, *, axis: int) -> Array:
  """Adds a row at both ends by quadratic extrapolation (Keys 1981, eq. 19)."""
  rows = jnp.moveaxis(image, axis, 0)
  first = 3 * rows[0] - 3 * rows[1] + rows[2]
  last = 3 * rows[-1] - 3 * rows[-2] + rows[-3]
  extended = jnp.concatenate([first[None], rows, last[None]])
  return jnp.moveaxis(extended, 0, axis)


def _taps(
  position: Array, side: int, interpolation: str
) -> tuple[Array, tuple[Array, ...]]:
  """First pixel of the interpolation stencil and the weights of its pixels.

  Cubic stencils count from the row that `_extrapolate` adds in front.
  """
  position = jnp.clip(position, 0, side - 1)
  pixel = jnp.clip(jnp.floor(position).astype(jnp.int32), 0, side - 2)
  offset = position - pixel
  if interpolation == 'bilinear':
    return pixel, (1 - offset, offset)
  return pixel, tuple(patches.keys_cubic(offset - i) for i in range(-1, 3))
