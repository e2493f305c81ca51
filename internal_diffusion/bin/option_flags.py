"""Flags derived from a dataclass of options, and options read from flags.

  option_flags.define(flag_values, UpscaleOptions)
  ...
  options = option_flags.read(flag_values, UpscaleOptions)

A field's name, type, default and description become those of a flag, so nothing
is written twice. Fields that are dataclasses themselves have no flag.
"""

import dataclasses
import enum
import os
import pathlib
import types
import typing
from collections.abc import Collection
from typing import Any, TypeVar

from absl import flags

from internal_diffusion import options

_Options = TypeVar('_Options')
_RARE = 'is_rare'  # Attribute of the flags that `--help` lists last.


class _NumbersParser(flags.ArgumentParser):
  """Parses numbers with commas or x between, as in 0.1,2 or 240x320."""

  syntactic_help = 'numbers with commas or x between'

  def __init__(self, kind: type, length: int | None) -> None:
    super().__init__()
    self.kind, self.length = kind, length

  def parse(self, argument: Any) -> tuple:
    if isinstance(argument, tuple):
      return argument
    try:
      parts = argument.lower().replace('x', ',').split(',')
      numbers = tuple(self.kind(part) for part in parts)
    except ValueError as error:
      kind = 'whole numbers' if self.kind is int else 'numbers'
      count = '' if self.length is None else f'{self.length} '
      raise ValueError(
        f'it must be {count}{kind} with commas or x between.'
      ) from error
    if self.length is not None and len(numbers) != self.length:
      raise ValueError(f'it must be {self.length} numbers, got {len(numbers)}.')
    return numbers

  def flag_type(self) -> str:
    return ','.join([self.kind.__name__] * (self.length or 2))


class _IntegerParser(flags.IntegerParser):
  """Parses a whole number."""

  def convert(self, argument: Any) -> int:
    try:
      return super().convert(argument)
    except ValueError:
      raise ValueError(f'it must be a whole number, got {argument}.') from None


class _FloatParser(flags.FloatParser):
  """Parses a number."""

  def convert(self, argument: Any) -> float:
    try:
      return super().convert(argument)
    except ValueError:
      raise ValueError(f'it must be a number, got {argument}.') from None


class _PathParser(flags.ArgumentParser):
  """Parses a path; ~ is the home folder."""

  def parse(self, argument: Any) -> str | None:
    return None if argument is None else os.path.expanduser(str(argument))

  def flag_type(self) -> str:
    return 'path'


class _PathsParser(_PathParser):
  """Parses paths with commas between; ~ is the home folder."""

  def parse(self, argument: Any) -> Any:
    parts = argument if isinstance(argument, list) else argument.split(',')
    return [os.path.expanduser(part.strip()) for part in parts if part.strip()]

  def flag_type(self) -> str:
    return 'path,path'


def define(
  flag_values: flags.FlagValues,
  options_class: type,
  *,
  skip: Collection[str] = (),
) -> None:
  """Defines a flag for each simple field of a dataclass of options.

  Fields are int, float, bool, str, `pathlib.Path`, a `StrEnum`, one of those or
  None, or a tuple of numbers.

  Args:
    flag_values: Flags to add to.
    options_class: Frozen dataclass with an `Attributes:` section.
    skip: Names of fields without a flag.

  Raises:
    TypeError: If a field has another type.
  """
  descriptions = options.descriptions(options_class)
  for field, kind in simple_fields(options_class, skip=skip):
    default = None
    if field.default_factory is not dataclasses.MISSING:
      default = field.default_factory()
    elif field.default is not dataclasses.MISSING:
      default = field.default
    flag = _make_flag(field.name, kind, default, descriptions[field.name])
    setattr(flag, _RARE, options.is_rare(field))
    flags.DEFINE_flag(flag, flag_values)


def read(
  flag_values: flags.FlagValues,
  options_class: type[_Options],
  *,
  base: _Options | None = None,
  **others: Any,
) -> _Options:
  """Makes the options from the values of their flags.

  Args:
    flag_values: Parsed flags.
    options_class: The class that was given to `define`.
    base: Values of the flags that were not given, instead of the defaults; a
      preset, for one.
    **others: Values of fields without a flag.

  Raises:
    ValueError: If an option is wrong.
  """
  values = {}
  for field, kind in simple_fields(options_class, skip=others):
    if field.name not in flag_values:
      continue
    flag = flag_values[field.name]
    if base is not None and not flag.present:
      continue
    value = flag.value
    if value is None and not _has_default(field):
      raise ValueError(f'`{field.name}` is required; see --help.')
    if value is not None and issubclass(kind, enum.Enum | pathlib.Path):
      value = kind(value)
    values[field.name] = value
  if base is not None:
    # The type of options is not known to be a dataclass before it runs.
    return dataclasses.replace(base, **values, **others)  # type: ignore[type-var]
  return options_class(**values, **others)


def define_path(
  flag_values: flags.FlagValues, name: str, default: str | None, text: str
) -> None:
  """Defines a flag of one path; ~ is expanded."""
  _add(flag_values, _PathParser(), name, default, text)


def define_paths(flag_values: flags.FlagValues, name: str, text: str) -> None:
  """Defines a flag of paths with commas between; ~ is expanded."""
  _add(flag_values, _PathsParser(), name, [], text)


def define_rare(
  flag_values: flags.FlagValues,
  name: str,
  text: str,
  *,
  default: int | None = None,
) -> None:
  """Defines a flag that `--help` lists last: of text, or a number.

  Args:
    flag_values: Flags to add to.
    name: Name of the flag.
    text: Its description.
    default: Default of a number; None is a flag of text without a default.
  """
  parser = flags.ArgumentParser() if default is None else flags.IntegerParser()
  _add(flag_values, parser, name, default, text)
  setattr(flag_values[name], _RARE, True)


def is_rare(flag: flags.Flag) -> bool:
  """Whether `--help` lists a flag last."""
  return getattr(flag, _RARE, False)


def _add(
  flag_values: flags.FlagValues,
  parser: flags.ArgumentParser,
  name: str,
  default: Any,
  text: str,
) -> None:
  flag = flags.Flag(parser, flags.ArgumentSerializer(), name, default, text)
  flags.DEFINE_flag(flag, flag_values)


def simple_fields(
  options_class: type, *, skip: Collection[str] = ()
) -> list[tuple[dataclasses.Field, type]]:
  """The fields that have a flag, each with its type, None left out.

  Args:
    options_class: Dataclass of options.
    skip: Names of fields to leave out.
  """
  hints = typing.get_type_hints(options_class)
  found = []
  for field in dataclasses.fields(options_class):
    kind = hints[field.name]
    if isinstance(kind, types.UnionType) or (
      typing.get_origin(kind) is typing.Union
    ):
      (kind,) = (k for k in typing.get_args(kind) if k is not type(None))
    if field.name not in skip and not dataclasses.is_dataclass(kind):
      found.append((field, kind))
  return found


def _has_default(field: dataclasses.Field) -> bool:
  missing = dataclasses.MISSING
  return field.default is not missing or field.default_factory is not missing


def _make_flag(name: str, kind: Any, default: Any, text: str) -> flags.Flag:
  serializer: flags.ArgumentSerializer = flags.ArgumentSerializer()
  if typing.get_origin(kind) is tuple:
    item, *others = typing.get_args(kind)
    length = None if others == [...] else 1 + len(others)
    parser = _NumbersParser(item, length)
    return flags.Flag(parser, serializer, name, default, text)
  if kind is bool:
    return flags.BooleanFlag(name, default, text)
  if issubclass(kind, enum.Enum):
    choices = [choice.value for choice in kind]
    value = None if default is None else str(default)
    return flags.EnumFlag(name, value, text, choices)
  parsers: dict[type, flags.ArgumentParser] = {
    int: _IntegerParser(),
    float: _FloatParser(),
    str: flags.ArgumentParser(),
    pathlib.Path: _PathParser(),
  }
  if kind not in parsers:
    raise TypeError(f'`{name}` is a {kind}, for which there is no flag.')
  return flags.Flag(parsers[kind], serializer, name, default, text)
