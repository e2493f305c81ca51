"""What the networks of super-resolution learn from: blocks, given features."""

import dataclasses
from collections.abc import Callable
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

  def rest(params: Params, target: Array, features: Array) -> Array:
    return target - cast(Array, network.apply(params, features))

  return _changed(targets, rest, params)


def in_deviations(
  rest: Examples, deviation: DeviationMLP, params: Params
) -> Examples:
  """What the mean leaves, in units of its deviation."""

  def in_units(params: Params, rest: Array, features: Array) -> Array:
    return rest / cast(Array, deviation.apply(params, features))

  return _changed(rest, in_units, params)


def _changed(
  examples: Examples,
  change: Callable[[Params, Array, Array], Array],
  params: Params,
) -> Examples:
  """Examples after `change(params, block, features)`."""

  def draw_fn(
    key: Array, data: tuple[Any, Params], num: int
  ) -> tuple[Array, Condition]:
    own_data, params = data
    block, cond = examples.draw_fn(key, own_data, num)
    return change(params, block, cast(Array, cond.vector)), cond

  data = (examples.data, params)
  return dataclasses.replace(examples, data=data, draw_fn=draw_fn)
