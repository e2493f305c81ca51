"""Exact results: orders of convergence, processes, devices, resumed runs.

python -m benchmarks.exactness
"""

import os

# Four host devices replace four GPUs; JAX reads this when it starts.
os.environ['XLA_FLAGS'] = '--xla_force_host_platform_device_count=4'

import tempfile
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import skimage.data

from benchmarks import timing
from internal_diffusion.applications.patches import PatchOptions, learn_patches
from internal_diffusion.applications.patches.examples import image_examples
from internal_diffusion.data import image_io
from internal_diffusion.denoisers.gaussian import GaussianDenoiser
from internal_diffusion.diffusion import processes, schedules
from internal_diffusion.options import replace
from internal_diffusion.sampling import samplers
from internal_diffusion.training.denoising import fit_denoiser

_MEAN = np.array([0.5, -1.0])
_COVARIANCE = np.array([[1.0, 0.6], [0.6, 0.5]])


def order_of_convergence(sampler: samplers.Sampler) -> float:
  """Slope of log error over log step on a Gaussian, in float64."""
  with jax.enable_x64(True):
    # `create` rounds to float32, and the last steps divide by tiny sigmas.
    model = GaussianDenoiser(
      *map(jnp.asarray, (_MEAN, *np.linalg.eigh(_COVARIANCE)))
    )
    x = jnp.asarray(_MEAN[None] + np.array([[1.0, 2.0], [-3.0, 0.5]]))
    counts, errors = [16, 32, 64, 128, 256], []
    for count in counts:
      # The step to 0 is of first order. The sigma before it shrinks fast
      # enough to make its error negligible.
      grid = np.append(np.linspace(2.0, 0, count, endpoint=False), count**-3.0)
      sigmas = jnp.asarray(np.append(grid, 0.0))
      found = sampler(jax.random.key(0), model, x, sigmas)
      errors.append(float(abs(found - model.flow(x, 2.0)).max()))
  return -float(np.polyfit(np.log(counts), np.log(errors), 1)[0])


def process_errors(
  make_process: Callable[[], processes.NoiseProcess],
) -> dict[str, float]:
  """Errors of the samples' mean and covariance over their standard errors."""
  num, process = 50_000, make_process()
  time = jnp.float32(process.max_time)
  start = process.sigma(time) * jax.random.normal(jax.random.key(0), (num, 2))
  found = samplers.sample_heun(
    jax.random.key(1),
    GaussianDenoiser.create(_MEAN, _COVARIANCE),
    processes.to_unit_scale(process, start, time),
    schedules.process_sigmas(1000, process),
  )
  variance = np.diag(_COVARIANCE)
  # Var of a sample covariance: (v_i v_j + c_ij^2) / N.
  covariance_variance = (np.outer(variance, variance) + _COVARIANCE**2) / num
  mean_z = (np.mean(found, axis=0) - _MEAN) / np.sqrt(variance / num)
  covariance_z = np.cov(np.asarray(found).T) - _COVARIANCE
  covariance_z /= np.sqrt(covariance_variance)
  return {
    'mean_z': float(abs(mean_z).max()),
    'covariance_z': float(abs(covariance_z).max()),
  }


def small_run() -> tuple[np.ndarray, PatchOptions]:
  """Photograph and options of a run of 20 steps."""
  options = replace(
    PatchOptions(),
    network={'width': 64},
    num_devices=1,
    num_steps=20,
    batch_size=256,
    num_references=256,
    steps_per_call=5,
    checkpoint={'every_steps': 5, 'keep': 4},
  )
  photograph = 2 * (skimage.data.coffee() / np.float32(255)) - 1
  return image_io.bound_side(photograph, max_side=100), options


def largest_difference(a: object, b: object) -> float:
  """Largest absolute difference of two trees of parameters."""
  differences = jax.tree.map(lambda x, y: float(abs(x - y).max()), a, b)
  return max(jax.tree.leaves(differences))


def device_difference() -> float:
  """Difference of four devices and one after 20 steps on the same batches."""
  image, options = small_run()
  examples = image_examples(image, options)
  one, four = (
    fit_denoiser(examples, replace(options, num_devices=num)).model.params
    for num in (1, 4)
  )
  return largest_difference(one, four)


def resume_difference() -> float:
  """Difference of a run of 20 steps and one stopped at 10 and resumed."""
  image, options = small_run()
  with tempfile.TemporaryDirectory() as whole:
    unbroken = learn_patches(image, options, workdir=whole)
  with tempfile.TemporaryDirectory() as broken:
    # The learning rate depends on the run's length. So the length stays, and
    # the checkpoints after step 10 are removed.
    learn_patches(image, options, workdir=broken)
    for step in (15, 20):
      os.rename(
        os.path.join(broken, 'checkpoints', str(step)),
        os.path.join(broken, f'lost_{step}'),
      )
    resumed = learn_patches(image, options, workdir=broken)
  return largest_difference(unbroken.denoiser.params, resumed.denoiser.params)


def main() -> None:
  """Runs all measurements and saves them."""
  timing.save(
    'exactness',
    'python -m benchmarks.exactness',
    {
      'orders': {
        'euler (1)': order_of_convergence(samplers.sample_euler),
        'heun (2)': order_of_convergence(samplers.sample_heun),
      },
      'processes': {
        'edm': process_errors(processes.edm_process),
        've': process_errors(processes.ve_process),
        'vp_linear': process_errors(processes.vp_linear_process),
        'vp_cosine': process_errors(processes.vp_cosine_process),
        'flow': process_errors(processes.flow_process),
      },
      'four_devices_against_one': device_difference(),
      'resumed_against_unbroken': resume_difference(),
    },
  )


if __name__ == '__main__':
  main()
