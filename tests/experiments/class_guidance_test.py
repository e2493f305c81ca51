"""Classes of patches, and the figures of patches that are drawn by class."""

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion.experiments import (
  class_guidance,
  class_results,
  level_guidance,
)


@flax.struct.dataclass
class NearestCentre:
  """A classifier by the nearest of K centres on a line."""

  centres: jax.Array

  def log_posterior(self, x, sigma):
    del sigma
    return -abs(x - self.centres[None])


def test_share_is_the_fraction_that_the_judge_assigns_to_its_class():
  judge = NearestCentre(jnp.arange(3.0))
  groups = np.array([[0.1, 0.9], [1.0, 1.2], [2.0, 3.0]])[..., None]
  assert class_guidance.share(judge, groups) == 5 / 6


def test_goals_are_set_for_the_guidance_of_weight_1():
  names = [
    f'{kind}, weight {weight:g}'
    for kind in ('classifier', 'classifier-free')
    for weight in class_guidance.WEIGHTS
  ]
  last = names[-1]
  names += ['conditional model']
  names += [f'{last}, {k} threshold' for k in ('no', 'static', 'dynamic')]
  drawn = {
    name: class_guidance.Drawn(np.zeros((2, 1, 1)), 0.9, 1.0, 0.1)
    for name in names
  }
  found = class_results.measures(drawn, real_share=0.95, at_least=0.93)
  missed = [name for name, measure in found.items() if measure.is_met is False]
  assert missed == ['share of the class: classifier, weight 1']
  assert found['share of the class: real'].value == 0.95


def test_bands_that_are_fitted_and_held_out_share_no_patch():
  levels = level_guidance.level_patches(0)
  assert list(levels) == ['level 0', 'level 1', 'level 2']
  for one, other in levels.values():
    assert one.shape == other.shape
    known = {row.tobytes() for row in one}
    assert not known & {row.tobytes() for row in other}
  # A coarser level shows more, so its neighbouring pixels differ more.
  fitted = np.stack([one for one, _ in levels.values()])
  squares = fitted.reshape(3, -1, 11, 11)
  roughness = np.abs(np.diff(squares, axis=-1)).mean(axis=(1, 2, 3))
  assert roughness[0] < roughness[1] < roughness[2]
