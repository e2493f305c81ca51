"""Errors that a user can mend, and their messages on one line."""

import re

import jax
from absl import flags

from internal_diffusion.bin import config_files

KINDS = (
  ValueError,
  OSError,
  MemoryError,
  FloatingPointError,  # A loss that is not finite.
  jax.errors.JaxRuntimeError,  # A device that is out of memory, for one.
)


def one_line(error: BaseException, flag_values: flags.FlagValues) -> str:
  """An error's message on one line, with `name` of a flag as --name."""
  text = str(error)
  if isinstance(error, jax.errors.JaxRuntimeError):
    text = text.splitlines()[0]
  elif isinstance(error, OSError) and error.filename is not None:
    text = f'Cannot use `{error.filename}`: {error.strerror}.'
    if isinstance(error, FileNotFoundError):
      text = f'There is no file `{error.filename}`.'
  text = ' '.join(text.split()) or type(error).__name__

  def as_flag(match: re.Match) -> str:
    name = match[1]
    if name in flag_values:
      return f'--{name}'
    if 'config' in flag_values and config_files.has_field(
      flag_values['config'].value, name
    ):
      return f'--config.{name}'
    return match[0]

  return re.sub(r'`([\w.]+)`', as_flag, text)
