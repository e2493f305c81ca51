"""Controls of a form, derived from a class of options as the flags are."""

import dataclasses
import enum
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from absl import flags

from internal_diffusion import options as options_lib
from internal_diffusion.bin import option_flags


class Kind(enum.StrEnum):
  """How a value is entered."""

  CHECK = enum.auto()
  CHOICE = enum.auto()
  NUMBER = enum.auto()
  TEXT = enum.auto()


@dataclasses.dataclass(frozen=True)
class Control:
  """One control of a form.

  Attributes:
    name: Name of the option.
    kind: How its value is entered.
    default: Value that the form begins with; None where the command decides.
    text: Description of the option.
    choices: Values to choose from, of a choice.
    is_whole: Whether a number is whole.
  """

  name: str
  kind: Kind
  default: Any
  text: str
  choices: tuple[str, ...] = ()
  is_whole: bool = False

  @property
  def label(self) -> str:
    """Name for a person to read."""
    words = self.name.replace('_', ' ').capitalize()
    return words.replace('Num ', 'Number of ')


def make_controls(
  options_class: type, names: Sequence[str]
) -> tuple[Control, ...]:
  """Controls of the named options, in their order.

  Args:
    options_class: Dataclass of options, documented as `options` says.
    names: Names of the options to show.
  """
  texts = options_lib.descriptions(options_class)
  kinds = {
    field.name: (field, kind)
    for field, kind in option_flags.simple_fields(options_class)
  }
  return tuple(
    _control(*kinds[name], typing.get_type_hints(options_class)[name], texts)
    for name in names
  )


def to_arguments(
  controls: Sequence[Control], values: Sequence[Any]
) -> list[str]:
  """Command-line arguments of the values that differ from the defaults.

  Args:
    controls: Controls of a form.
    values: A value for each; None and '' leave the choice to the command.
  """
  found = []
  for control, value in zip(controls, values, strict=True):
    if value is None or value == '':
      continue
    if control.kind is Kind.CHECK:
      if bool(value) != bool(control.default):
        found.append(f'--{"" if value else "no"}{control.name}')
      continue
    if control.kind is Kind.NUMBER and float(value) == control.default:
      continue
    text = f'{value:g}' if isinstance(value, int | float) else value.strip()
    is_required = control.kind is Kind.CHOICE and control.default is None
    if is_required or text != str(control.default):
      found.append(f'--{control.name}={text}')
  return found


def check_arguments(options_class: type, arguments: Sequence[str]) -> None:
  """Raises ValueError, in words for a person, if the options are wrong."""
  from internal_diffusion.bin import user_errors  # Late: it imports JAX.

  values = flags.FlagValues()
  option_flags.define(values, options_class)
  try:
    values(['form', *arguments])
    option_flags.read(values, options_class)
  except (ValueError, flags.Error) as error:
    text = user_errors.one_line(error, values)
    raise ValueError(text.replace('flag --', '').replace('--', '')) from error


def _control(
  field: dataclasses.Field,
  kind: Any,
  hint: Any,
  texts: Mapping[str, str],
) -> Control:
  default = field.default
  if default is dataclasses.MISSING:
    default = None
  name, text = field.name, texts[field.name]
  if kind is bool:
    return Control(name, Kind.CHECK, default, text)
  if isinstance(kind, type) and issubclass(kind, enum.Enum):
    choices = tuple(str(choice.value) for choice in kind)
    value = None if default is None else str(default)
    return Control(name, Kind.CHOICE, value, text, choices)
  # A number that may be left out is entered as text, which may be empty.
  is_optional = type(None) in typing.get_args(hint)
  if kind in (int, float) and not is_optional:
    return Control(name, Kind.NUMBER, default, text, is_whole=kind is int)
  return Control(name, Kind.TEXT, default, text)
