"""A model of one number, whose training compiles in an instant."""

import dataclasses

import flax.struct
import jax
import jax.numpy as jnp

from internal_diffusion.training.options import TrainOptions

SLOPE = 2.0


@flax.struct.dataclass
class Line:
  """y = params * x + offset; the offset is frozen."""

  params: jax.Array
  offset: jax.Array

  def __call__(self, x):
    return self.params * x + self.offset


@dataclasses.dataclass(frozen=True)
class LineLoss:
  """Squared error of the line through (x, slope x + 0.5), slopes from data."""

  batch_size: int = 16
  bad_step: int = 0
  noise: float = 0.1

  def __call__(self, key, state, data, progress, index):
    del progress
    x, eps = jax.random.normal(key, (2, self.batch_size))
    y = data * x + 0.5 + self.noise * eps
    loss = (state.model(x[index]) - y[index]) ** 2
    return jnp.where(state.step + 1 == self.bad_step, jnp.nan, loss)


def line(slope=0.0):
  return Line(jnp.float32(slope), jnp.float32(0.5))


def data(slope=SLOPE):
  return jnp.float32(slope)


def options(**changes):
  values = {
    'batch_size': 16,
    'num_steps': 20,
    'steps_per_call': 5,
    'num_devices': 1,
    **changes,
  }
  return TrainOptions(**values)
