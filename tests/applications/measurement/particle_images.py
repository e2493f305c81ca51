"""Small particle images with known displacement."""

import numpy as np


def particles(
  seed, displacement, *, side=96, density=0.05, noise=0.02, lost=0.05
):
  """Two frames [side, side, 1] in [-1, 1] and the particles' start (x, y)."""
  rng = np.random.default_rng(seed)
  num = int(density * (side + 20) ** 2)
  places = rng.uniform(-10, side + 10, (num, 2))
  light = rng.uniform(0.3, 1, num)
  moved = places + displacement(places)
  new = rng.random(num) < lost
  moved[new] = rng.uniform(-10, side + 10, (int(new.sum()), 2))
  frames = []
  line = np.arange(side)
  for points in (places, moved):
    x, y = (np.exp(-((line - p[:, None]) ** 2) / 1.0) for p in points.T)
    image = np.einsum('n,ny,nx->yx', light, y, x)
    image += noise * rng.standard_normal(image.shape)
    frames.append((2 * image.clip(0, 1) - 1).astype(np.float32)[..., None])
  return frames[0], frames[1]


def shift(u, v):
  return lambda places: np.broadcast_to((u, v), places.shape)


def turn(rate, side=96):
  """Rotation around the middle, without its change of radius."""
  middle = (side - 1) / 2

  def displacement(places):
    x, y = (places - middle).T
    return rate * np.stack([-y, x], axis=-1)

  return displacement
