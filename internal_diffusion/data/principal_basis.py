"""Principal components of patch vectors: the coordinates the network works in.

x = mean + components @ z. The components are orthonormal, so isotropic noise on
x is isotropic noise on z of the same sigma: a diffusion in z *is* the diffusion
in x. What the basis adds is a variance for each coordinate, which is what
preconditioning wants to know (see `diffusion.preconditioning`).

Components are shared by all pyramid levels, because natural patches have nearly
the same ones at every scale; the standard deviations are a level's own, because
a coarse level has more contrast in fine components.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array


class PrincipalBasis(NamedTuple):
  """An orthonormal basis with the data's spread along it.

  Attributes:
    mean: [D].
    components: [D, D], the columns are orthonormal, of decreasing variance.
    stddev: [L, D] standard deviation of each coordinate at each level.
  """

  mean: Array
  components: Array
  stddev: Array


def fit_principal_basis(
  vectors: Array,
  level: Array,
  *,
  num_levels: int,
  min_stddev: float = 1e-3,
) -> PrincipalBasis:
  """Principal components of vectors from several levels.

  Args:
    vectors: [N, D].
    level: Level of each vector, [N] int32.
    num_levels: L.
    min_stddev: Lower bound on the standard deviations, so that a direction in
      which the data is constant does not ask the network for infinite
      precision; 1e-3 is an eighth of a grey level of an 8-bit image.

  Returns:
    The basis. A level without vectors gets the spread of all of them.
  """
  # On the host in float64: it happens once, and eigenvalues span many decades.
  values, levels = np.asarray(vectors, np.float64), np.asarray(level)
  mean = values.mean(axis=0)
  centred = values - mean
  covariance = centred.T @ centred / len(values)
  _, components = np.linalg.eigh(covariance)
  components = components[:, ::-1]
  coordinates = centred @ components

  def spread(rows: np.ndarray) -> np.ndarray:
    # About the common mean, so that a level's own mean counts as spread.
    chosen = coordinates[rows] if rows.any() else coordinates
    return np.sqrt(np.mean(chosen**2, axis=0))

  stddev = np.stack([spread(levels == index) for index in range(num_levels)])
  return PrincipalBasis(
    mean=jnp.asarray(mean, jnp.float32),
    components=jnp.asarray(components, jnp.float32),
    stddev=jnp.asarray(np.maximum(stddev, min_stddev), jnp.float32),
  )


def to_principal(basis: PrincipalBasis, vectors: Array) -> Array:
  """Coordinates z [..., D] of vectors x [..., D]."""
  shape = (1,) * (vectors.ndim - 1) + basis.mean.shape
  return (vectors - basis.mean.reshape(shape)) @ basis.components


def from_principal(basis: PrincipalBasis, coordinates: Array) -> Array:
  """Vectors x [..., D] of coordinates z [..., D]."""
  shape = (1,) * (coordinates.ndim - 1) + basis.mean.shape
  return basis.mean.reshape(shape) + coordinates @ basis.components.T
