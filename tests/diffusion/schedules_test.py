import numpy as np
import pytest

from internal_diffusion.diffusion import processes, schedules

GRIDS = [
  schedules.karras_sigmas,
  schedules.linear_sigmas,
  schedules.cosine_sigmas,
  schedules.exponential_sigmas,
]


@pytest.mark.parametrize('grid', GRIDS)
@pytest.mark.parametrize('num_steps', [1, 2, 18])
def test_grid_falls_from_sigma_max_to_zero(grid, num_steps):
  sigmas = np.asarray(grid(num_steps, sigma_min=0.01, sigma_max=40.0))
  assert sigmas.shape == (num_steps + 1,)
  assert (np.diff(sigmas) < 0).all()
  np.testing.assert_allclose(sigmas[0], 40, rtol=1e-4)
  assert sigmas[-1] == 0
  if num_steps > 1:
    np.testing.assert_allclose(sigmas[-2], 0.01, rtol=1e-3)


def test_grids_are_uniform_in_what_they_say():
  def uneven(values):
    steps = np.diff(values)
    return np.ptp(steps) / abs(steps.mean())

  options = {'sigma_min': 0.1, 'sigma_max': 10.0}
  assert uneven(schedules.linear_sigmas(9, **options)[:-1]) < 1e-4
  grid = schedules.exponential_sigmas(9, **options)[:-1]
  assert uneven(np.log(grid)) < 1e-4
  grid = schedules.cosine_sigmas(9, **options)[:-1]
  assert uneven(np.arctan(grid)) < 1e-4
  grid = schedules.karras_sigmas(9, rho=7.0, **options)[:-1]
  assert uneven(np.asarray(grid) ** (1 / 7)) < 1e-4


def test_karras_tends_to_exponential():
  karras = schedules.karras_sigmas(10, rho=1e4)
  exponential = schedules.exponential_sigmas(10)
  np.testing.assert_allclose(karras, exponential, rtol=2e-2)


@pytest.mark.parametrize(
  'process',
  [
    processes.edm_process(),
    processes.ve_process(),
    processes.vp_linear_process(),
    processes.vp_cosine_process(),
    processes.flow_process(),
  ],
)
def test_process_grid_is_uniform_in_its_time(process):
  sigmas = schedules.process_sigmas(10, process)
  times = np.asarray(process.time(sigmas[:-1]))
  expected = process.max_time * (1 - np.arange(10) / 10)
  np.testing.assert_allclose(times, expected, rtol=1e-3)
  assert sigmas[-1] == 0


@pytest.mark.parametrize(
  'options',
  [
    {'num_steps': 0},
    {'num_steps': 2.5},
    {'num_steps': 5, 'sigma_min': 0.0},
    {'num_steps': 5, 'sigma_min': 2.0, 'sigma_max': 1.0},
    {'num_steps': 5, 'sigma_max': float('inf')},
  ],
)
def test_bad_options(options):
  num_steps = options.pop('num_steps')
  with pytest.raises(ValueError, match='must'):
    schedules.karras_sigmas(num_steps, **options)
