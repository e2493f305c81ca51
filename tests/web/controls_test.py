"""Forms: the same options as the flags, and nothing that is a default."""

import pytest

from internal_diffusion.applications.editing import EditOptions
from internal_diffusion.applications.images.options import GenerateOptions
from internal_diffusion.bin import option_flags
from internal_diffusion.web import controls
from internal_diffusion.web.controls import Kind
from internal_diffusion.web.uses import OPTIONS, USES


@pytest.mark.parametrize('use', USES, ids=lambda use: use.command)
def test_a_form_begins_with_the_defaults_of_the_command(use):
  names = {
    field.name for field, _ in option_flags.simple_fields(OPTIONS[use.command])
  }
  assert {control.name for control in use.controls} <= names
  values = [
    None
    if control.kind is Kind.TEXT
    else control.default or next(iter(control.choices), None)
    for control in use.controls
  ]
  arguments = controls.to_arguments(use.controls, values)
  # Only the mode of an edit must be chosen.
  assert arguments in ([], ['--mode=fill'])


def test_kinds():
  found = controls.make_controls(
    GenerateOptions, ('num_samples', 'size', 'mode', 'tileable', 'max_side')
  )
  assert [control.kind for control in found] == [
    Kind.NUMBER,
    Kind.TEXT,
    Kind.CHOICE,
    Kind.CHECK,
    Kind.TEXT,
  ]
  assert found[2].choices == ('generate', 'retarget')
  assert found[0].is_whole
  assert found[0].label == 'Number of samples'
  arguments = controls.to_arguments(found, [2, ' 24x32', 'retarget', True, ''])
  assert arguments == [
    '--num_samples=2',
    '--size=24x32',
    '--mode=retarget',
    '--tileable',
  ]
  controls.check_arguments(GenerateOptions, arguments)


@pytest.mark.parametrize(
  ('options_class', 'argument', 'word'),
  [
    (GenerateOptions, '--num_samples=0', 'num_samples'),
    (GenerateOptions, '--size=12', 'size'),
    (GenerateOptions, '--max_side=many', 'max_side'),
    (EditOptions, '--mode=extend', 'expand'),
  ],
)
def test_a_wrong_option_is_said_before_a_run(options_class, argument, word):
  with pytest.raises(ValueError, match=word) as error:
    controls.check_arguments(options_class, [argument])
  assert '\n' not in str(error.value)
