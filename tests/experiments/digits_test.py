"""The parts of the digits, and their judge."""

import numpy as np

from internal_diffusion.evaluation import frechet_distance
from internal_diffusion.experiments import digits


def test_parts_are_apart_and_the_judge_is_right():
  train, validation, test = digits.parts(0)
  assert [len(part.x) for part in (train, validation, test)] == [898, 449, 450]
  rows = {part.x.tobytes() for part in (train, validation, test)}
  assert len(rows) == 3
  for part in (train, validation, test):
    assert part.x.min() == -1
    assert part.x.max() == 1
    assert set(part.label) == set(range(10))
  judge = digits.fit_judge(validation, 0)
  assert judge.share(test) > 0.93
  wrong = digits.Digits(test.x, (test.label + 1) % 10)
  assert judge.share(wrong) < 0.05
  # Noise is farther than other digits are.
  noise = np.random.default_rng(0).uniform(-1, 1, test.x.shape)
  near, far = (
    frechet_distance(judge.features(x), judge.features(test.x))
    for x in (train.x, noise)
  )
  assert near < 0.3 * far
  assert digits.nearest(train.x, train.x) < 1e-2
