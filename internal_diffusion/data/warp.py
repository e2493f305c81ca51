"""Pictures looked up along a flow, and flows turned round.

A flow (u, v) says that the pixel (x, y) is found at (x + u, y + v) of the other
frame, in pixels, u to the right and v down. Backward warping looks it up there:

  warped[y, x] = image[y + v, x + u].

Between the pixels a cubic (Keys 1981, a = -1/2; error of order 3 in the
distance of the pixels) or a line (order 2) is put through them. Both are exact
at whole displacements. Nothing is clipped: cubics overshoot at edges.

Reference:
  Keys 1981, Cubic convolution interpolation for digital image processing.
"""

import jax
import jax.numpy as jnp

from internal_diffusion import arrays
from internal_diffusion.data import patches

Array = jax.Array

_MIN_SIDE = 3  # Quadratics are put through the border.
# What the inverse may still move where the iteration ends. Rounding of the
# coordinates of a side of 4096 pixels is four times less.
_TOLERANCE = 1e-3
_MAX_ITERATIONS = 200


def warp(
  image: Array, flow: Array, *, interpolation: str = 'cubic'
) -> tuple[Array, Array]:
  """Backward warping of a picture, or of anything with its layout.

  Args:
    image: [H, W, C], of at least 3 pixels a side.
    flow: Where to look each pixel up, (u, v), [H, W, 2].
    interpolation: 'cubic' or 'bilinear'.

  Returns:
    The warped picture, [H, W, C]; what lies outside has the value of the next
    point of the border. And which pixels were looked up inside, [H, W]
    booleans; those with a flow that is not finite were not.

  Raises:
    ValueError: If an argument is not as said above.
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
  """Which pixels a flow [H, W, 2] leads to a point of the picture, [H, W]."""
  row, column = _targets(flow)
  height, width = row.shape
  inside = (row >= 0) & (row <= height - 1)
  return inside & (column >= 0) & (column <= width - 1)


def invert_flow(flow: Array) -> Array:
  """The flow back: from the pixels of the second frame to the first.

  The inverse g of a flow f solves g(x) = -f(x + g(x)), and this equation is its
  own iteration, which shrinks the error by the steepness c of f (the largest
  stretch of its differences, see `steepness`). It ends where no vector moves by
  more than 1e-3 pixels, hence with errors up to c / (1 - c) of that: 0.009
  pixels at c = 0.9. Where x + g(x) lies outside, f is that of the border.

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
  """The largest singular value of a flow's differences, over its pixels.

  Below 1 no two pixels have one target, and `invert_flow` converges.
  """
  check_flow('flow', flow)
  along_x = jnp.diff(flow, axis=1)[:-1]
  along_y = jnp.diff(flow, axis=0)[:, :-1]
  jacobian = jnp.stack([along_x, along_y], axis=-1)
  return jnp.max(jnp.linalg.norm(jacobian, ord=2, axis=(-2, -1)))


def frames_between(
  first: Array, second: Array, flow: Array, *, num_frames: int
) -> Array:
  """Frames at equal steps of time between two.

  At time t the frame is the mean of the first, moved by t of the flow, and of
  the second, moved back by the rest, weighted by 1 - t and t, and one of them
  alone where the other is looked up outside. The flow of a pixel in between is
  that of the pixel of the first frame that it came from, after two iterations
  of `invert_flow`'s equation: good to look at, no ground truth.

  Args:
    first: The frame at time 0, [H, W, C].
    second: The frame at time 1, [H, W, C].
    flow: From the first to the second, (u, v), [H, W, 2].
    num_frames: How many, at times 0, ..., 1.

  Returns:
    The frames, [num_frames, H, W, C], in the range of the two given.
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
    # The small number is for what is in neither.
    of_first = (1 - time) * (is_in_first + 1e-6)
    of_second = time * (is_in_second + 1e-6)
    share = (of_second / (of_first + of_second))[..., None]
    return (1 - share) * from_first + share * from_second

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
  """The row and the column that each pixel is looked up at, [H, W] each."""
  rows, columns = jnp.indices(flow.shape[:2], dtype=flow.dtype)
  return rows + flow[..., 1], columns + flow[..., 0]


def _extrapolate(image: Array, *, axis: int) -> Array:
  """Adds a row at both ends, as quadratics go on (Keys 1981, eq. 19)."""
  rows = jnp.moveaxis(image, axis, 0)
  first = 3 * rows[0] - 3 * rows[1] + rows[2]
  last = 3 * rows[-1] - 3 * rows[-2] + rows[-3]
  extended = jnp.concatenate([first[None], rows, last[None]])
  return jnp.moveaxis(extended, 0, axis)


def _taps(
  position: Array, side: int, interpolation: str
) -> tuple[Array, tuple[Array, ...]]:
  """The first pixel that weighs in along an axis, and the weights from it on.

  For cubics the pixels count from the row that `_extrapolate` has added.
  """
  position = jnp.clip(position, 0, side - 1)
  pixel = jnp.clip(jnp.floor(position).astype(jnp.int32), 0, side - 2)
  rest = position - pixel
  if interpolation == 'bilinear':
    return pixel, (1 - rest, rest)
  return pixel, tuple(patches.keys_cubic(rest - i) for i in range(-1, 3))
