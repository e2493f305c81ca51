"""Flags that are derived from a dataclass of options."""

import dataclasses
import enum
import pathlib

import pytest
from absl import flags

from internal_diffusion.bin import option_flags
from internal_diffusion.options import rare


class Speed(enum.StrEnum):
  FAST = 'fast'
  SLOW = 'slow'


@dataclasses.dataclass(frozen=True)
class Inner:
  """Inner options.

  Attributes:
    width: Width.
  """

  width: int = 3


@dataclasses.dataclass(frozen=True)
class Options:
  """Options of all types.

  Attributes:
    number: A whole number.
    size: A required pair.
    factor: A number,
      on two lines.
    minutes: A number or none.
    speed: A choice.
    switch: A switch.
    levels: Numbers.
    path: A path.
    inner: Inner options.
  """

  size: tuple[int, int]
  number: int = rare(1)
  factor: float = 2.0
  minutes: float | None = None
  speed: Speed = Speed.SLOW
  switch: bool = True
  levels: tuple[float, ...] = (0.5,)
  path: pathlib.Path | None = None
  inner: Inner = Inner()

  def __post_init__(self):
    if self.factor < 0:
      raise ValueError(f'`factor` must not be negative, got {self.factor}.')


@pytest.fixture
def values():
  found = flags.FlagValues()
  option_flags.define(found, Options)
  return found


def test_defaults_are_those_of_the_fields(values):
  values(['command', '--size=2,3'])
  assert option_flags.read(values, Options) == Options(size=(2, 3))


def test_values_have_the_types_of_the_fields(values):
  values(
    [
      'command',
      '--size=4,5',
      '--number=7',
      '--factor=3',
      '--minutes=0.5',
      '--speed=fast',
      '--noswitch',
      '--levels=1,2.5,3',
      '--path=~/a',
    ]
  )
  found = option_flags.read(values, Options)
  assert found == Options(
    size=(4, 5),
    number=7,
    factor=3.0,
    minutes=0.5,
    speed=Speed.FAST,
    switch=False,
    levels=(1.0, 2.5, 3.0),
    path=pathlib.Path.home() / 'a',
  )
  assert isinstance(found.speed, Speed)
  assert isinstance(found.factor, float)


def test_a_preset_gives_the_flags_that_were_not_given(values):
  values(['command', '--factor=4', '--size=9,9'])
  preset = Options(size=(1, 1), number=5, factor=3.0, speed=Speed.FAST)
  found = option_flags.read(values, Options, base=preset)
  assert found == dataclasses.replace(preset, factor=4.0, size=(9, 9))


def test_fields_without_a_flag_are_given_apart(values):
  values(['command', '--size=2,3'])
  found = option_flags.read(values, Options, inner=Inner(8))
  assert found.inner.width == 8
  assert 'inner' not in values


def test_help_is_the_docstring(values):
  assert values['factor'].help == 'A number, on two lines.'
  assert list(values['speed'].parser.enum_values) == ['fast', 'slow']
  assert option_flags.is_rare(values['number'])
  assert not option_flags.is_rare(values['factor'])


@pytest.mark.parametrize(
  ('argument', 'words'),
  [
    ('--size=2', ('size', '2 numbers')),
    ('--size=a,b', ('size', '2 whole numbers')),
    ('--number=1.5', ('number', '1.5')),
    ('--speed=medium', ('speed', 'fast|slow')),
    ('--switch=maybe', ('switch', 'maybe')),
  ],
)
def test_a_bad_value_is_named(values, argument, words):
  with pytest.raises(flags.Error) as error:
    values(['command', argument])
  for word in words:
    assert word in str(error.value)


def test_a_field_without_default_is_required(values):
  values(['command'])
  with pytest.raises(ValueError, match='`size` is required'):
    option_flags.read(values, Options)


def test_the_dataclass_checks_the_values(values):
  values(['command', '--size=2,3', '--factor=-1'])
  with pytest.raises(ValueError, match='`factor` must not be negative'):
    option_flags.read(values, Options)


def test_a_type_without_a_flag_is_refused():
  @dataclasses.dataclass(frozen=True)
  class Odd:
    """Odd options.

    Attributes:
      items: A list.
    """

    items: dict = dataclasses.field(default_factory=dict)

  with pytest.raises(TypeError, match='items'):
    option_flags.define(flags.FlagValues(), Odd)
