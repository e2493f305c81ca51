"""Options: one frozen dataclass for each use, checked where it is made.

The docstring of an options class has an `Attributes:` section, which names each
field, its unit and its range. Flags, `--help` and reports derive from the
class, so no default and no description is written twice.

  @dataclasses.dataclass(frozen=True)
  class UpscaleOptions:
    '''How an image is upscaled.

Attributes:
      factor: Ratio of the output's side to the input's, from 1.1 to 8.
      num_steps: Number of Heun steps of a sample.
    '''

    factor: float = 2.0
    num_steps: int = rare(5)
"""

import dataclasses
import enum
import inspect
import re
from collections.abc import Mapping
from typing import Any, TypeVar

_T = TypeVar('_T')
_FIELD = re.compile(r'^(\w+): (.*)$')


def rare(default: Any) -> Any:
  """A field that few people change: `--help` lists it last."""
  return dataclasses.field(default=default, metadata={'rare': True})


def is_rare(field: dataclasses.Field) -> bool:
  """Whether a field was declared with `rare`."""
  return bool(field.metadata.get('rare'))


def descriptions(options_class: type) -> dict[str, str]:
  """The description of each field, from the docstrings of the class.

  Args:
    options_class: A dataclass. Its docstring, or that of a class that it
      inherits a field from, has an `Attributes:` section.

  Returns:
    Descriptions by field name, in the order of the fields, without line breaks.

  Raises:
    ValueError: If a field has no description.
  """
  found: dict[str, str] = {}
  for kind in reversed(options_class.__mro__):
    section = (inspect.cleandoc(kind.__doc__ or '')).partition('Attributes:\n')
    name = ''
    for line in inspect.cleandoc(section[2]).splitlines():
      start = _FIELD.match(line)
      if start:
        name, found[start[1]] = start[1], start[2]
      elif name and line.strip():
        found[name] += f' {line.strip()}'
  names = [field.name for field in dataclasses.fields(options_class)]
  missing = [name for name in names if name not in found]
  if missing:
    raise ValueError(
      f'The docstring of {options_class.__name__} must describe {missing}.'
    )
  return {name: found[name] for name in names}


def replace(options: _T, **changes: Any) -> _T:
  """`dataclasses.replace` that also reaches into nested options.

  Args:
    options: A dataclass instance.
    **changes: New values by field name; those of nested options as a mapping.

  Raises:
    ValueError: If there is no such field, or a value is out of its range.

  Example:
    >>> @dataclasses.dataclass(frozen=True)
    ... class Inner:
    ...   width: int = 1
    >>> @dataclasses.dataclass(frozen=True)
    ... class Outer:
    ...   inner: Inner = Inner()
    ...   seed: int = 0
    >>> replace(Outer(), inner={'width': 2}, seed=3)
    Outer(inner=Inner(width=2), seed=3)
  """
  names = [field.name for field in dataclasses.fields(options)]  # type: ignore[arg-type]
  unknown = [name for name in changes if name not in names]
  if unknown:
    raise ValueError(
      f'`{unknown[0]}` is no field of {type(options).__name__}; it has'
      f' {", ".join(names)}.'
    )
  values = {
    name: _converted(getattr(options, name), value, name)
    for name, value in changes.items()
  }
  return dataclasses.replace(options, **values)  # type: ignore[type-var]


def _converted(old: Any, new: Any, name: str) -> Any:
  """A new value in the type of the old one: JSON has no tuples or enums."""
  if isinstance(new, Mapping):
    return replace(old, **new)
  if isinstance(old, enum.Enum):
    return choice(type(old), new, name)
  if isinstance(old, tuple | None) and isinstance(new, list | tuple):
    return tuple(new)
  return new


def choice(kind: type[enum.Enum], value: Any, name: str) -> Any:
  """The member of an enumeration with a value.

  Raises:
    ValueError: If there is none; lists the choices.
  """
  try:
    return kind(value)
  except ValueError:
    choices = ', '.join(repr(str(member.value)) for member in kind)
    raise ValueError(
      f'`{name}` must be one of {choices}, got {value!r}.'
    ) from None


def to_dict(options: Any) -> dict[str, Any]:
  """Options as nested dicts of numbers, strings and tuples.

  Example:
    >>> @dataclasses.dataclass(frozen=True)
    ... class Options:
    ...   seed: int = 0
    >>> to_dict(Options())
    {'seed': 0}
  """
  return {
    field.name: _plain(getattr(options, field.name))
    for field in dataclasses.fields(options)
  }


def _plain(value: Any) -> Any:
  if dataclasses.is_dataclass(value):
    return to_dict(value)
  return value.value if isinstance(value, enum.Enum) else value
