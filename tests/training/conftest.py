"""Options of a run of the toy model that checkpoints after every call."""

import pytest

from internal_diffusion.training.options import (
  CheckpointOptions,
  Optimizer,
  OptimizerOptions,
)
from tests.training import toy


@pytest.fixture
def options():
  return toy.options(
    checkpoint=CheckpointOptions(every_steps=5, keep=10),
    # Unlike Adam's, its steps are in proportion to the gradients, so no
    # difference of the data is lost.
    optimizer=OptimizerOptions(
      name=Optimizer.SGD, learning_rate=0.05, warmup_steps=2, clip_norm=0.0
    ),
  )
