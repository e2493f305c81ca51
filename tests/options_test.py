"""Options classes: nested replacement, descriptions, choices."""

import dataclasses
import enum

import pytest

from internal_diffusion import options as options_lib


class Colour(enum.StrEnum):
  RED = 'red'
  BLUE = 'blue'


@dataclasses.dataclass(frozen=True)
class Inner:
  """Inner options.

  Attributes:
    width: Width in pixels.
    colour: Colour: red or blue.
  """

  width: int = 1
  colour: Colour = Colour.RED

  def __post_init__(self):
    if self.width < 1:
      raise ValueError(f'`width` must be positive, got {self.width}.')


@dataclasses.dataclass(frozen=True)
class Outer:
  """Outer options.

  Attributes:
    inner: Inner options.
    sizes: Sizes, the
      finest first.
    seed: The seed: any integer.
  """

  inner: Inner = Inner()
  sizes: tuple[int, ...] = (3, 2)
  seed: int = options_lib.rare(0)


def test_replace_reaches_into_nested_options():
  found = options_lib.replace(Outer(), inner={'width': 5}, seed=2)
  assert found == Outer(Inner(5, Colour.RED), (3, 2), 2)
  assert Outer() == Outer(Inner(1))  # The original stays.


def test_replace_takes_what_json_has():
  found = options_lib.replace(Outer(), inner={'colour': 'blue'}, sizes=[1, 2])
  assert found.inner.colour is Colour.BLUE
  assert found.sizes == (1, 2)
  hash(found)


def test_to_dict_and_back():
  options = Outer(Inner(4, Colour.BLUE), (9,), 7)
  values = options_lib.to_dict(options)
  assert values == {
    'inner': {'width': 4, 'colour': 'blue'},
    'sizes': (9,),
    'seed': 7,
  }
  assert type(values['inner']['colour']) is str
  assert options_lib.replace(Outer(), **values) == options


def test_unknown_fields_and_bad_values_are_named():
  with pytest.raises(ValueError, match=r'`side` is no field of Outer; it has'):
    options_lib.replace(Outer(), side=1)
  with pytest.raises(ValueError, match=r'`height` is no field of Inner'):
    options_lib.replace(Outer(), inner={'height': 1})
  with pytest.raises(ValueError, match=r'`width`.*-1'):
    options_lib.replace(Outer(), inner={'width': -1})
  with pytest.raises(ValueError, match=r"`colour`.*'red', 'blue', got 'green'"):
    options_lib.replace(Outer(), inner={'colour': 'green'})


def test_descriptions_are_those_of_the_docstring():
  assert options_lib.descriptions(Outer) == {
    'inner': 'Inner options.',
    'sizes': 'Sizes, the finest first.',
    'seed': 'The seed: any integer.',
  }


def test_a_field_without_description_is_an_error():
  @dataclasses.dataclass(frozen=True)
  class Bad:
    """Options."""

    side: int = 0

  with pytest.raises(ValueError, match=r"Bad must describe \['side'\]"):
    options_lib.descriptions(Bad)


def test_rare_fields_keep_their_default():
  fields = {field.name: field for field in dataclasses.fields(Outer)}
  assert options_lib.is_rare(fields['seed'])
  assert not options_lib.is_rare(fields['sizes'])
  assert Outer().seed == 0


def test_a_choice_is_a_member():
  assert options_lib.choice(Colour, 'red', 'colour') is Colour.RED
  assert options_lib.choice(Colour, Colour.BLUE, 'colour') is Colour.BLUE
