"""What the networks of super-resolution learn from: blocks, given features."""

import dataclasses
from typing import Any, cast

import jax

from internal_diffusion.data import upscaling_pairs
from internal_diffusion.data.distributions import Layout, Part
from internal_diffusion.data.upscaling_pairs import (
  SourceEncoding,
  UpscalingPairs,
)
from internal_diffusion.training.deviation import DeviationMLP
from internal_diffusion.training.examples import Examples
from internal_diffusion.training.regression import RegressionMLP
from internal_diffusion.types import Condition, Params

Array = jax.Array


def block_layout(encoding: SourceEncoding) -> Layout:
  """The parts of a model of blocks."""
  source_dim, block_dim = encoding.linear.shape
  return Layout((Part('target', block_dim),), (Part('source', source_dim),))


def target_examples(pairs: UpscalingPairs) -> Examples:
  """Targets."""

  def draw_fn(
    key: Array, pairs: UpscalingPairs, num: int
  ) -> tuple[Array, Condition]:
    features, target = upscaling_pairs.sample_pairs(key, pairs, num=num)
    return target, Condition(vector=features)

  layout = block_layout(pairs.encoding)
  return Examples(data=pairs, draw_fn=draw_fn, layout=layout)


def rest_examples(
  targets: Examples, network: RegressionMLP, params: Params
) -> Examples:
  """What the mean leaves of targets."""

  def draw_fn(
    key: Array, data: tuple[Any, Params], num: int
  ) -> tuple[Array, Condition]:
    target_data, params = data
    target, cond = targets.draw_fn(key, target_data, num)
    return target - cast(Array, network.apply(params, cond.vector)), cond

  data = (targets.data, params)
  return dataclasses.replace(targets, data=data, draw_fn=draw_fn)


def in_deviations(
  rest: Examples, deviation: DeviationMLP, params: Params
) -> Examples:
  """What the mean leaves, in units of its deviation."""

  def draw_fn(
    key: Array, data: tuple[Any, Params], num: int
  ) -> tuple[Array, Condition]:
    rest_data, params = data
    drawn, cond = rest.draw_fn(key, rest_data, num)
    return drawn / cast(Array, deviation.apply(params, cond.vector)), cond

  data = (rest.data, params)
  return dataclasses.replace(rest, data=data, draw_fn=draw_fn)
