"""A program as a person writes it, checked by `mypy --strict`; never run."""

from typing import assert_type

import jax
import numpy as np

import internal_diffusion as idiff
from internal_diffusion.applications.flow import Flow
from internal_diffusion.applications.patches import GeneratedPatches
from internal_diffusion.applications.super_resolution import Upscaled

key = jax.random.key(0)
version: str = idiff.__version__
image = idiff.read_image('photo.png', max_side=250)
assert_type(image, np.ndarray)
pyramid = idiff.build_pyramid(image)
patches = idiff.extract_patches(image, patch_size=7)
averaged = idiff.average_patches(patches, size=(40, 48), patch_size=7)

patch_options: idiff.PatchOptions = idiff.replace(
  idiff.PatchOptions(), num_steps=10
)
model: idiff.PatchModel = idiff.learn_patches(image, patch_options)
assert_type(idiff.sample_patches(key, model, num=4), GeneratedPatches)
idiff.save('runs/photo', model)
loaded = idiff.load('runs/photo', idiff.PatchModel)
assert_type(loaded, idiff.PatchModel)
sample_fn = idiff.make_sample_fn

prior: idiff.ImagePrior = idiff.make_image_prior(image)
levels = idiff.generate(key, prior, size=(40, 48))
assert_type(levels, list[np.ndarray])

upscaler: idiff.Upscaler = idiff.learn_upscaler(
  image, idiff.UpscaleOptions(factor=2)
)
assert_type(
  idiff.upscale(key, upscaler, image, factor=2, num_samples=2), Upscaled
)

restored: idiff.Restored = idiff.restore(
  key, image, idiff.RestoreOptions(sigma=25.0)
)
flow_options = idiff.FlowOptions(minutes=1.0)
flow_model: idiff.FlowModel = idiff.learn_flow([image], flow_options)
assert_type(
  idiff.estimate_flow(key, flow_model, image, image, options=flow_options),
  Flow,
)

measured = idiff.measure(
  idiff.learn_measurement(image, image, idiff.MeasurementOptions(grid=16)),
  image,
  image,
)


def show(measurement_model: idiff.MeasurementModel) -> str:
  """Uses a model by its type."""
  return measurement_model.kind


def denoise(denoiser: idiff.Denoiser, cond: idiff.Condition) -> jax.Array:
  """Calls a denoiser through its interface."""
  return denoiser(jax.numpy.zeros((1, 4)), jax.numpy.ones(1), cond)


idiff.write_image('new.png', levels[0])
idiff.write_grid('patches.png', np.zeros((4, 7, 7, 3), np.float32))
