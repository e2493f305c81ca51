"""Options: one frozen dataclass for each use, checked where it is made.

The docstring of an options class has an `Attributes:` section, which names each
field, its unit and its range. Flags, `--help` and reports derive from the class,
so no default and no description is written twice.

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
import inspect
import re
from typing import Any

_FIELD = re.compile(r'^(\w+): (.*)$')


def rare(default: Any) -> Any:
  """A field that few people change: `--help` lists it last."""
  return dataclasses.field(default=default, metadata={'rare': True})


def is_rare(field: dataclasses.Field) -> bool:
  """Whether a field was declared with `rare`."""
  return bool(field.metadata.get('rare'))


def descriptions(options_class: type) -> dict[str, str]:
  """The description of each field, from the class's docstring.

  Args:
    options_class: A dataclass whose docstring has an `Attributes:` section.

  Returns:
    Descriptions by field name, without line breaks.

  Raises:
    ValueError: If a field has no description.
  """
  text = inspect.getdoc(options_class) or ''
  section = text.partition('Attributes:\n')[2]
  found: dict[str, str] = {}
  name = ''
  for line in inspect.cleandoc(section).splitlines():
    start = _FIELD.match(line)
    if start:
      name, found[start[1]] = start[1], start[2]
    elif name and line.strip():
      found[name] += f' {line.strip()}'
  fields = [field.name for field in dataclasses.fields(options_class)]
  missing = [field for field in fields if field not in found]
  if missing:
    raise ValueError(
      f'The docstring of {options_class.__name__} must describe {missing}.'
    )
  return found
