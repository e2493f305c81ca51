"""JAX's global settings do not change a result: every use sets its own."""

import chex
import jax
import numpy as np
import pytest
import skimage.data

import internal_diffusion as idiff
from internal_diffusion import evaluation
from internal_diffusion.applications import images, patches
from internal_diffusion.applications.flow import FlowOptions
from internal_diffusion.compilation import measure_compilation
from internal_diffusion.data import flow_fields
from tests.applications.super_resolution import small

SETTINGS = {
  'x64': lambda: jax.enable_x64(True),
  'debug_nans': lambda: jax.debug_nans(True),
  'rank_promotion': lambda: jax.numpy_rank_promotion('raise'),
  'dtype_promotion': lambda: jax.numpy_dtype_promotion('strict'),
  'matmul_precision': lambda: jax.default_matmul_precision('bfloat16'),
}
SHORT = {'num_steps': 6, 'num_devices': 1, 'batch_size': 32}


def photograph(step):
  coffee = skimage.data.coffee()[60:360:step, 120:480:step]
  return (coffee / 127.5 - 1).astype(np.float32)


def make_patches():
  options = idiff.replace(
    idiff.PatchOptions(),
    **SHORT,
    num_references=64,
    steps_per_call=3,
    patch_size=5,
    pyramid={'min_side': 12},
    network={'width': 16, 'depth': 1, 'embedding_dim': 8},
    sampling={'num_steps': 3},
  )
  model = patches.learn_patches(photograph(10), options)
  return model, patches.sample_patches(jax.random.key(1), model, num=4)


def make_image():
  prior = images.make_image_prior(photograph(10), patch_size=7)
  made = images.generate(jax.random.key(1), prior, num_steps=2)
  return prior, made, images.find_sources(prior, made[0])


def make_upscaled():
  upscaler = idiff.learn_upscaler(photograph(10), small.options(num_steps=6))
  return upscaler, idiff.upscale(
    jax.random.key(1), upscaler, photograph(10), factor=2, num_samples=2
  )


def make_flow():
  flow = flow_fields.translation((60, 72), displacement=(1.4, -0.6))
  pair = flow_fields.make_pair(photograph(5), flow, margin=4)
  first, second = (np.asarray(x).clip(-1, 1) for x in pair[:2])
  options = FlowOptions(
    num_steps=6, batch_size=32, minutes=0, width=8, num_fields=1, num_samples=2
  )
  model = idiff.learn_flow([first], options)
  return model, idiff.estimate_flow(
    jax.random.key(1), model, first, second, options=options
  )


def make_evaluation():
  real, generated = photograph(10), photograph(10)[:, ::-1]
  vectors = [np.asarray(x).reshape(-1, 12) for x in (real, generated)]
  return (
    evaluation.compare_images(jax.random.key(0), [generated], real),
    evaluation.sliced_wasserstein(jax.random.key(0), *vectors),
    evaluation.mmd_squared(*vectors, bandwidths=(0.5,)),
    evaluation.nearest_distances(*vectors),
  )


@pytest.mark.parametrize(
  'use',
  [
    make_patches,
    make_image,
    make_evaluation,
    pytest.param(make_upscaled, marks=pytest.mark.long),
    pytest.param(make_flow, marks=pytest.mark.long),
  ],
  ids=lambda use: use.__name__.removeprefix('make_'),
)
def test_no_setting_changes_a_result_or_compiles_it_again(use):
  with jax.numpy_rank_promotion('allow'):
    expected = use()
  for setting in SETTINGS.values():
    with setting(), measure_compilation() as meter:
      result = use()
    chex.assert_trees_all_equal(result, expected)
    assert meter.count <= 2  # The key itself.
