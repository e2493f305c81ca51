"""Options are checked where they are made; the error names the field."""

import pytest

from internal_diffusion.applications import patches
from internal_diffusion.configs import default
from internal_diffusion.options import descriptions, replace


@pytest.mark.parametrize(
  ('changes', 'message'),
  [
    ({'patch_size': 0}, 'patch_size'),
    ({'patch_size': 6}, 'odd'),
    ({'pyramid': {'scale_factor': 1.0}}, 'scale_factor'),
    ({'pyramid': {'level_power': 2.0}}, 'level_power'),
    ({'network': {'width': 0}}, 'network.width'),
    ({'network': {'embedding_dim': 63}}, 'network.embedding_dim'),
    ({'seed': -1}, 'seed'),
    ({'network': {'compute_dtype': 'float16'}}, 'compute_dtype'),
    ({'noise': {'draw': 'cauchy'}}, 'draw'),
    ({'parametrization': 'vp'}, 'parametrization'),
    ({'noise': {'sigma_max': 0.001}}, 'sigma_max'),
    ({'optimizer': {'name': 'lion'}}, 'name'),
    ({'optimizer': {'learning_rate': -1.0}}, 'learning_rate'),
    ({'optimizer': {'learning_rate': float('nan')}}, 'learning_rate'),
    ({'optimizer': {'warmup_steps': -1}}, 'warmup_steps'),
    ({'ema_decay': 1.0}, 'ema_decay'),
    ({'batch_size': 0}, 'batch_size'),
    ({'num_references': 8}, 'num_references'),
    ({'num_steps': 0}, 'never end'),
    ({'num_steps': -5}, 'num_steps'),
    ({'max_minutes': -0.5}, 'max_minutes'),
    ({'steps_per_call': 0}, 'steps_per_call'),
    ({'checkpoint': {'keep': 0}}, 'checkpoint.keep'),
    ({'condition': {'sigma_aug': -0.1}}, 'condition.sigma_aug'),
    ({'condition': {'sigma_aug_max': 0.5}}, 'condition.sigma_aug_max'),
    ({'condition': {'dropout': 1.5}}, 'condition.dropout'),
    ({'distribution': 'everything'}, 'distribution'),
    ({'no_such_field': 1}, 'no_such_field'),
  ],
)
def test_bad_fields_are_refused(changes, message):
  with pytest.raises(ValueError, match=f'`.*{message}|{message}'):
    replace(patches.PatchOptions(), **changes)


PRESETS = [
  patches.PatchOptions,
  patches.target_given_source_options,
  patches.cascade_options,
  patches.delta_given_pair_options,
  patches.joint_options,
]


@pytest.mark.parametrize('make', PRESETS)
def test_a_configuration_is_its_options(make):
  config = default.from_options(make())
  assert default.to_options(config) == make()
  config.network.width = 17
  assert default.to_options(config) == replace(make(), network={'width': 17})


def test_there_is_a_preset_for_each_distribution():
  assert {make().distribution for make in PRESETS} == set(patches.Distributions)


def test_every_field_is_described():
  assert descriptions(patches.PatchOptions)['patch_size'].startswith('Side')
