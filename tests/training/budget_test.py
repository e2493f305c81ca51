import pytest

from internal_diffusion.training.budget import Budget


def test_steps_alone():
  assert Budget(100, 0.0).total_steps(0, 0.0) == 100
  assert Budget(100, 0.0).total_steps(70, 1e9) == 100


def test_time_alone_is_estimated_from_the_rate():
  budget = Budget(0, 60.0)
  assert budget.total_steps(0, 0.0) > 10**5
  assert budget.total_steps(100, 30.0) == 200
  assert budget.total_steps(230, 61.0) == 230


def test_whichever_comes_first():
  budget = Budget(150, 60.0)
  assert budget.total_steps(0, 0.0) == 150
  assert budget.total_steps(50, 30.0) == 100
  assert budget.total_steps(50, 10.0) == 150


@pytest.mark.parametrize(('steps', 'seconds'), [(0, 0.0), (-1, 5.0), (5, -1.0)])
def test_bad_bounds(steps, seconds):
  with pytest.raises(ValueError, match=r'num_steps|max_minutes'):
    Budget(steps, seconds)
