"""What a command runs in: devices, settings, cache, and bound on pixels."""

import contextlib
import os
from collections.abc import Iterator

import jax
from absl import flags

from internal_diffusion import jax_settings
from internal_diffusion.bin import common_flags, compile_cache


def check_platform() -> None:
  """Raises ValueError if JAX_PLATFORMS names no device of this machine."""
  wanted = os.environ.get('JAX_PLATFORMS', '')
  try:
    jax.devices()
  except Exception as error:  # An assertion, where a plugin is missing.
    if not wanted:
      raise
    jax.config.update('jax_platforms', '')
    found = jax.devices()[0].platform
    raise ValueError(
      f'JAX_PLATFORMS is {wanted!r}, but this machine has no such device; it'
      f' has {found}. Unset JAX_PLATFORMS or set it to {found}.'
    ) from error


@contextlib.contextmanager
def entered(flag_values: flags.FlagValues, name: str) -> Iterator[None]:
  """Runs a block with settings, cache, and bound on pixels of a command.

  Args:
    flag_values: The command's parsed flags.
    name: Name for messages.
  """
  with contextlib.ExitStack() as stack:
    stack.enter_context(jax_settings.own_settings())
    stack.enter_context(compile_cache.kept(name))
    if common_flags.MAX_PIXELS in flag_values:
      # Late: commands that read no picture start sooner.
      from internal_diffusion.data import image_decoding

      num: int = getattr(flag_values, common_flags.MAX_PIXELS)
      stack.enter_context(image_decoding.pixel_limit(num))
    yield
