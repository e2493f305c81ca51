"""Serves a page in the browser with every use, on this machine alone.

  idiff-web
  idiff-web --port=8000

Open the address that it prints. The page works without a network, sends nothing
anywhere, and removes its files when it ends. Ctrl-C ends it. It needs the extra
`web`: pip install 'internal-diffusion[web]'.
"""

import importlib.util

import jax
from absl import flags

from internal_diffusion import arrays
from internal_diffusion.bin import command

_NAME = 'idiff-web'
_FLAGS = flags.FlagValues()
flags.DEFINE_integer(
  'port',
  7860,
  'Port of 127.0.0.1; 0 is any that is free.',
  flag_values=_FLAGS,
)


def main() -> None:
  """Serves the page."""
  arrays.check_in_range('port', _FLAGS.port, 0, 65535)
  if importlib.util.find_spec('gradio') is None:
    raise ValueError(
      "the page needs Gradio; install it by pip install 'internal-diffusion"
      "[web]'."
    )
  from internal_diffusion.web import server

  server.serve(
    port=_FLAGS.port,
    ready=lambda address: print(
      f'{_NAME}: open {address} in a browser; Ctrl-C ends it.', flush=True
    ),
  )


def run() -> None:
  """Entry point."""
  command.run(
    main, _FLAGS, name=_NAME, doc=__doc__ or '', before=_leave_accelerators
  )


def _leave_accelerators() -> None:
  """Leaves all accelerators and their memory to the runs of the page."""
  jax.config.update('jax_platforms', 'cpu')


if __name__ == '__main__':
  run()
