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


def test_time_left_is_the_smaller_of_both_bounds():
  assert Budget(0, 60.0).seconds_left(0, 0.0) == 60
  assert Budget(100, 0.0).seconds_left(0, 0.0) is None
  assert Budget(100, 0.0).seconds_left(20, 5.0) == 20
  assert Budget(100, 60.0).seconds_left(20, 5.0) == 20
  assert Budget(100, 10.0).seconds_left(20, 5.0) == 5
  assert Budget(0, 60.0).seconds_left(9, 61.0) == 0


def test_the_fraction_is_the_larger_of_both_bounds():
  assert Budget(100, 0.0).fraction(20, 9.0) == 0.2
  assert Budget(0, 60.0).fraction(20, 15.0) == 0.25
  assert Budget(100, 60.0).fraction(20, 15.0) == 0.25
  assert Budget(100, 60.0).fraction(200, 15.0) == 1
