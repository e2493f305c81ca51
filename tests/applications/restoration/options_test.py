"""Options of restoration."""

import pytest

from internal_diffusion import options as options_lib
from internal_diffusion.applications.restoration import RestoreOptions, Task


@pytest.mark.parametrize(
  ('name', 'value'),
  [
    ('task', 'sharpen'),
    ('sigma', -1.0),
    ('sigma', 256.0),
    ('sigma', float('nan')),
    ('quality', 0),
    ('quality', 101),
    ('num_samples', -1),
    ('seed', -1),
    ('kernel_size', 10),
    ('kernel_size', 3),
  ],
)
def test_a_bad_option_is_named_with_its_value(name, value):
  with pytest.raises(ValueError, match=f'`{name}`.*{value}'):
    RestoreOptions(**{name: value})


def test_a_task_may_be_its_name():
  assert RestoreOptions(task='denoise').task is Task.DENOISE
  assert options_lib.to_dict(RestoreOptions(task='jpeg'))['task'] == 'jpeg'


def test_every_option_is_described():
  assert options_lib.descriptions(RestoreOptions).keys() == {
    'task',
    'sigma',
    'quality',
    'num_samples',
    'seed',
    'kernel_size',
  }
