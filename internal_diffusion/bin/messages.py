"""Text for a person: streams that may go away, and the text of `--help`."""

import os
import textwrap
from typing import Any, TextIO

from absl import flags

from internal_diffusion.bin import option_flags

_WIDTH = 80
_CACHE_TEXT = """\
Compiled functions are kept in ~/.cache/internal_diffusion. The environment
variable INTERNAL_DIFFUSION_CACHE names another folder, or switches this `off`.\
"""


class _ForgivingStream:
  """A stream that drops text once nobody reads it, as in `command | head`."""

  def __init__(self, stream: TextIO) -> None:
    self._stream = stream

  def write(self, text: str) -> int:
    try:
      self._stream.write(text)
      if '\n' in text:
        self._stream.flush()
    except BrokenPipeError:
      self._redirect()
    return len(text)

  def flush(self) -> None:
    try:
      self._stream.flush()
    except BrokenPipeError:
      self._redirect()

  def _redirect(self) -> None:
    """Sends the rest, also of the stream's buffer, to nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, self._stream.fileno())
    os.close(nowhere)

  def __getattr__(self, name: str) -> Any:
    return getattr(self._stream, name)


def forgiving(stream: Any) -> Any:
  """The same stream, which drops text once its reader has gone."""
  if stream is None or isinstance(stream, _ForgivingStream):
    return stream
  return _ForgivingStream(stream)


def help_text(flag_values: flags.FlagValues, doc: str) -> str:
  """The text of `--help`: a command's doc and its flags, rare ones last."""
  names = [str(name) for name in flag_values]
  rare = [n for n in names if option_flags.is_rare(flag_values[n])]
  lines = [doc.strip(), '', 'Flags:']
  for name in names:
    if name not in rare:
      lines += _flag_lines(flag_values[name])
  lines += ['  --version', '      Show the version and exit.']
  if rare:
    lines += ['', 'Rarely needed:']
    for name in rare:
      lines += _flag_lines(flag_values[name])
  return '\n'.join([*lines, '', _CACHE_TEXT])


def _flag_lines(flag: flags.Flag) -> list[str]:
  text = ' '.join((flag.help or '').split())
  if flag.boolean:
    head = f'--[no]{flag.name}'
  elif isinstance(flag, flags.EnumFlag):
    choices = '|'.join(flag.parser.enum_values)
    head = f'--{flag.name}={choices}'
    text = text.removeprefix(f'<{choices}>: ')  # As absl writes it.
  else:
    head = f'--{flag.name}={flag.parser.flag_type().upper()}'
  default = flag.default
  if isinstance(default, tuple):
    default = ','.join(map(str, default))
  if default is not False and default not in (None, '', []):
    text += f' (default: {default})'
  # A long list of choices breaks between two of them.
  heads = textwrap.wrap(
    head.replace('|', '| '), _WIDTH - 6, subsequent_indent='    '
  )
  return [*(f'  {line.replace("| ", "|")}' for line in heads), *wrapped(text)]


def wrapped(text: str) -> list[str]:
  """Lines of the text of a flag."""
  indent = ' ' * 6
  return textwrap.wrap(
    text, _WIDTH, initial_indent=indent, subsequent_indent=indent
  )
