"""Fits a mixture of Gaussians to noisy vectors by expectation-maximisation.

The vectors are x = x0 + sigma eps and the mixture is that of x0. An E-step uses
the components' covariances with sigma^2 added. An M-step takes the eigenvalues
of each noisy sample covariance and removes the noise from them. With n vectors
in a component (the sum of its responsibilities), D dimensions and gamma = D /
n, an eigenvalue l of pure noise reaches sigma^2 (1 + sqrt(gamma))^2, the edge
of the Marchenko-Pastur law. Eigenvalues below it become 0, and those above it

  v = (b + sqrt(b^2 - 4 l sigma^2)) / 2 - sigma^2,
  b = l + sigma^2 (1 - gamma),

the eigenvalue of x0 whose sample eigenvalue is l (the spiked covariance model:
Baik & Silverstein 2006; Donoho, Gavish & Johnstone 2018). So each component has
the rank that the noise leaves visible. The best mean ignores the rest; samples
need it: `hidden_share` gives the directions below the edge the variance that
the trace of the sample covariance has left, sum l - D sigma^2 - sum v.

The start is k-means on the first principal components. By default, vectors of
more than 64 dimensions are described by their first 64 principal components
alone, in which white noise stays white. A likelihood needs all of them.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from internal_diffusion import arrays
from internal_diffusion.denoisers.gaussian_mixture import (
  GaussianMixtureDenoiser,
)
from internal_diffusion.jax_settings import with_own_settings

Array = jax.Array

_CHUNK = 2048  # Vectors at a time; each takes D * D floats.
_NUM_COORDINATES = 12  # Principal components that k-means sees.
_NUM_MEANS_STEPS = 10  # Steps of k-means.
_FEWEST = 1e-3  # Sum of responsibilities of an empty component.
_SMALLEST_NOISE = 1e-6  # Variance of x, for clean vectors on flat ground.


class Moments(NamedTuple):
  """Sums over vectors by component, weighted by responsibility.

  Attributes:
    num: Sum of the responsibilities, [K].
    first: Sum of vectors, [K, D].
    second: Sum of outer products, [K, D, D].
  """

  num: Array
  first: Array
  second: Array


@with_own_settings
def fit_gaussian_mixture(
  key: Array,
  vectors: Array,
  *,
  noise_std: float | Array,
  num_components: int = 60,
  num_steps: int = 12,
  max_dimensions: int = 64,
  start: GaussianMixtureDenoiser | None = None,
  hidden_share: float = 0.0,
) -> GaussianMixtureDenoiser:
  """Fits a mixture of Gaussians to vectors with white noise.

  Args:
    key: Key of the start's cluster centres.
    vectors: Noisy vectors x0 + noise_std eps, [N, D].
    noise_std: Standard deviation of their noise; 0 for clean vectors.
    num_components: Number K of Gaussians, at most N.
    num_steps: Number of EM steps.
    max_dimensions: Number of principal components that are kept.
    start: Mixture to start from, of K components; None starts with k-means.
    hidden_share: Share of the hidden variance that the directions below the
      noise's edge get, from 0 to 1.

  Returns:
    The mixture of x0.

  Raises:
    ValueError: If an argument is out of range.
  """
  arrays.check_positive_int('num_components', num_components)
  arrays.check_positive_int('num_steps', num_steps)
  arrays.check_positive_int('max_dimensions', max_dimensions)
  arrays.check_in_range('noise_std', float(noise_std), 0, float('inf'))
  if vectors.ndim != 2 or len(vectors) < num_components:
    raise ValueError(
      f'`vectors` must be [N, D] with N at least {num_components}, the number'
      f' of components, got shape {vectors.shape}.'
    )
  arrays.check_in_range('hidden_share', hidden_share, 0, 1)
  noise_std, share = jnp.float32(noise_std), jnp.float32(hidden_share)
  if vectors.shape[1] <= max_dimensions:
    if start is None:
      start = _start(key, vectors, noise_std, num_components)
    return _improve(vectors, noise_std, share, start, num_steps)
  if start is None:
    basis = _find_basis(vectors, max_dimensions)
    along = _project(vectors, basis)
    inside = _start(key, along, noise_std, num_components)
  else:
    basis, inside = _inside(start)
    along = _project(vectors, basis)
  return _outside(_improve(along, noise_std, share, inside, num_steps), basis)


class Basis(NamedTuple):
  """A subspace: its origin [D], and orthonormal columns [D, R]."""

  origin: Array
  columns: Array


@functools.partial(jax.jit, static_argnames='num')
def _find_basis(vectors: Array, num: int) -> Basis:
  origin = jnp.mean(vectors, axis=0)
  centred = vectors - origin
  _, directions = jnp.linalg.eigh(centred.T @ centred)
  return Basis(origin, directions[:, -num:])


@jax.jit
def _project(vectors: Array, basis: Basis) -> Array:
  return (vectors - basis.origin) @ basis.columns


@jax.jit
def _outside(
  mixture: GaussianMixtureDenoiser, basis: Basis
) -> GaussianMixtureDenoiser:
  """A mixture of coordinates in a subspace as one of vectors."""
  return dataclasses.replace(
    mixture,
    means=basis.origin + mixture.means @ basis.columns.T,
    directions=jnp.einsum('de,ker->kdr', basis.columns, mixture.directions),
  )


@jax.jit
def _inside(
  mixture: GaussianMixtureDenoiser,
) -> tuple[Basis, GaussianMixtureDenoiser]:
  """The inverse of `_outside`: all components span the same subspace."""
  basis = Basis(mixture.means[0], mixture.directions[0])
  directions = jnp.einsum('de,kdr->ker', basis.columns, mixture.directions)
  means = (mixture.means - basis.origin) @ basis.columns
  return basis, dataclasses.replace(mixture, means=means, directions=directions)


def mixture_from_moments(
  moments: Moments, noise_std: Array, *, hidden_share: float | Array = 0.0
) -> GaussianMixtureDenoiser:
  """The M-step: weights, means and covariances of x0 from sums of noisy x."""
  num = jnp.maximum(moments.num, _FEWEST)
  means = moments.first / num[:, None]
  covariances = moments.second / num[:, None, None]
  covariances -= means[:, :, None] * means[:, None, :]
  eigenvalues, directions = jnp.linalg.eigh(covariances)
  variances = remove_noise(eigenvalues, num[:, None], noise_std)
  hidden = _hidden_variance(eigenvalues, variances, noise_std)
  variances = jnp.where(variances > 0, variances, hidden_share * hidden)
  log_weights = jnp.log(num / jnp.sum(num))
  return GaussianMixtureDenoiser(log_weights, means, directions, variances)


def remove_noise(eigenvalues: Array, num: Array, noise_std: Array) -> Array:
  """Eigenvalues of x0's covariance from those of a noisy sample covariance.

  Args:
    eigenvalues: l, [..., D].
    num: Number of vectors, [..., 1].
    noise_std: sigma.

  Returns:
    v, [..., D]; 0 below the noise's edge.
  """
  gamma = eigenvalues.shape[-1] / num
  noise = noise_std**2
  b = eigenvalues + noise * (1 - gamma)
  root = jnp.sqrt(jnp.maximum(b**2 - 4 * eigenvalues * noise, 0))
  is_visible = eigenvalues > noise * (1 + jnp.sqrt(gamma)) ** 2
  return jnp.where(is_visible, jnp.maximum((b + root) / 2 - noise, 0), 0.0)


def _hidden_variance(
  eigenvalues: Array, variances: Array, noise_std: Array
) -> Array:
  """Mean variance of x0 along the directions below the edge, [..., 1]."""
  dim = eigenvalues.shape[-1]
  left = jnp.sum(eigenvalues - variances, axis=-1, keepdims=True)
  num = jnp.sum(variances <= 0, axis=-1, keepdims=True)
  return jnp.maximum(left - dim * noise_std**2, 0) / jnp.maximum(num, 1)


@functools.partial(jax.jit, static_argnames='num_components')
def _start(
  key: Array, vectors: Array, noise_std: Array, num_components: int
) -> GaussianMixtureDenoiser:
  """The mixture of the clusters that k-means finds."""
  centred = vectors - jnp.mean(vectors, axis=0)
  _, directions = jnp.linalg.eigh(centred.T @ centred)
  along = centred @ directions[:, -_NUM_COORDINATES:]
  first = jax.random.choice(key, len(along), (num_components,), replace=False)

  def assign(along: Array, centres: Array) -> Array:
    distances = jnp.sum(centres**2, axis=1) - 2 * along @ centres.T
    return jax.nn.one_hot(jnp.argmin(distances, axis=1), num_components)

  def move(_: Array, centres: Array) -> Array:
    found = _moments(lambda a, _: assign(a, centres), along, along)
    num = found.num[:, None]
    return jnp.where(num > 0, found.first / jnp.maximum(num, 1), centres)

  centres = jax.lax.fori_loop(0, _NUM_MEANS_STEPS, move, along[first])
  found = _moments(lambda _, a: assign(a, centres), vectors, along)
  return mixture_from_moments(found, noise_std)


@functools.partial(jax.jit, static_argnames='num_steps')
def _improve(
  vectors: Array,
  noise_std: Array,
  hidden_share: Array,
  start: GaussianMixtureDenoiser,
  num_steps: int,
) -> GaussianMixtureDenoiser:
  """EM steps from a mixture."""
  # Differences of large numbers would lose float32's digits.
  origin = jnp.mean(vectors, axis=0)
  centred = vectors - origin

  def step(
    _: Array, mixture: GaussianMixtureDenoiser
  ) -> GaussianMixtureDenoiser:
    log_joint = _quadratic(mixture, noise_std)

    def assign(x: Array, outer: Array) -> Array:
      return jax.nn.softmax(log_joint(x, outer), axis=-1)

    found = _moments(assign, centred)
    return mixture_from_moments(found, noise_std, hidden_share=hidden_share)

  moved = dataclasses.replace(start, means=start.means - origin)
  fitted = jax.lax.fori_loop(0, num_steps, step, moved)
  return dataclasses.replace(fitted, means=fitted.means + origin)


def _quadratic(
  mixture: GaussianMixtureDenoiser, noise_std: Array
) -> Callable[[Array, Array], Array]:
  """Logarithm of w_k N(x; m_k, C_k + sigma^2), a quadratic function of x.

  It is -<P_k, x x^T> / 2 + <h_k, x> + c_k, so the outer products that an M-step
  sums serve the E-step too. The constant D log(2 pi) / 2 is left out.
  """
  variances = mixture.variances + jnp.maximum(noise_std**2, _SMALLEST_NOISE)
  scaled = mixture.directions / jnp.sqrt(variances)[:, None, :]
  precisions = scaled @ jnp.swapaxes(scaled, 1, 2)
  linear = jnp.einsum('kde,ke->kd', precisions, mixture.means)
  constant = mixture.log_weights - jnp.sum(jnp.log(variances), axis=1) / 2
  constant -= jnp.sum(linear * mixture.means, axis=1) / 2
  flat = precisions.reshape(len(precisions), -1)

  def log_joint(x: Array, outer: Array) -> Array:
    return constant - outer @ flat.T / 2 + x @ linear.T

  return log_joint


def _moments(
  assign: Callable[[Array, Array], Array],
  vectors: Array,
  features: Array | None = None,
) -> Moments:
  """Sums over all vectors [N, D], a chunk at a time.

  Args:
    assign: `(x [n, D], features [n, F]) -> responsibilities [n, K]`.
    vectors: [N, D].
    features: [N, F]; None is the flattened outer products.
  """
  num, dim = vectors.shape
  chunk = min(_CHUNK, num)
  values = (vectors,) if features is None else (vectors, features)
  padding = -num % chunk

  def cut(values: Array) -> Array:
    padded = jnp.pad(values, ((0, padding), (0, 0)))
    return padded.reshape(-1, chunk, values.shape[-1])

  is_real = (jnp.arange(num + padding) < num).reshape(-1, chunk, 1)

  def sums(parts: tuple[Array, ...]) -> Moments:
    x, real, *more = parts
    outer = (x[:, :, None] * x[:, None, :]).reshape(chunk, -1)
    weights = real * assign(x, more[0] if more else outer)
    second = (weights.T @ outer).reshape(-1, dim, dim)
    return Moments(jnp.sum(weights, axis=0), weights.T @ x, second)

  def add(total: Moments, parts: tuple[Array, ...]) -> tuple[Moments, None]:
    return jax.tree.map(jnp.add, total, sums(parts)), None

  first, *others = map(cut, values)
  parts = (first, is_real, *others)
  shapes = jax.eval_shape(sums, jax.tree.map(lambda part: part[0], parts))
  nothing = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
  return jax.lax.scan(add, nothing, parts)[0]
