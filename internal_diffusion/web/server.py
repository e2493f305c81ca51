"""The server of the page, on this machine alone.

Gradio's telemetry is off, and a content security policy lets the browser load
nothing from other servers.
"""

import contextlib
import gc
import inspect
import os
import pathlib
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from internal_diffusion.web import forms, uploads
from internal_diffusion.web.sessions import Sessions

HOST = '127.0.0.1'
_POLICY = (
  "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; connect-src"
  " 'self' data: blob:; frame-ancestors 'none'"
)


def serve(*, port: int, ready: Callable[[str], None] | None = None) -> None:
  """Serves the page on this machine until it is interrupted.

  Args:
    port: Port of 127.0.0.1; 0 is any that is free.
    ready: Called with the page's address once it answers.

  Raises:
    OSError: If the port is taken.
  """
  with tempfile.TemporaryDirectory(prefix='idiff-web-') as folder:
    # Gradio reads these where it is imported.
    os.environ.update(
      GRADIO_ANALYTICS_ENABLED='False',
      GRADIO_TEMP_DIR=os.path.join(folder, 'uploads'),
      HF_HUB_OFFLINE='1',
      HF_HUB_DISABLE_TELEMETRY='1',
    )
    sessions = Sessions(pathlib.Path(folder) / 'runs')
    gc.disable()  # What is imported stays; to look for garbage takes time.
    with _without_interface_files():
      from internal_diffusion.web import page

    demo = page.make_page(forms.read_uses(), sessions)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
      _, address, _ = _launch(demo, port, folder, page.make_style())
      gc.enable()
      if ready is not None:
        ready(address)
      while True:
        time.sleep(3600)
    finally:
      sessions.close_all()
      demo.close(verbose=False)


@contextlib.contextmanager
def _without_interface_files() -> Iterator[None]:
  """Halves the time of Gradio's import.

  Gradio parses its own sources there, for interface files that an editor may
  read, and leaves out classes without a source file.
  """
  find_file = inspect.getfile

  def find_other_file(object: Any) -> str:
    if inspect.isclass(object) and object.__module__.startswith('gradio.'):
      raise OSError(f'{object} is not looked up')
    return find_file(object)

  inspect.getfile = find_other_file
  try:
    yield
  finally:
    inspect.getfile = find_file


def _launch(demo: Any, port: int, folder: str, style: Mapping[str, Any]) -> Any:
  from starlette.middleware import Middleware

  demo.queue(default_concurrency_limit=4, max_size=32)
  return demo.launch(
    server_name=HOST,
    server_port=_free_port(port),
    share=False,
    quiet=True,
    prevent_thread_lock=True,
    allowed_paths=[folder],
    max_file_size=uploads.MAX_BYTES,
    run_history=False,
    enable_monitoring=False,
    ssr_mode=False,
    pwa=False,
    mcp_server=False,
    app_kwargs={'middleware': [Middleware(_Policy)]},
    **style,
  )


class _Policy:
  """Adds the content security policy to every answer."""

  def __init__(self, app: Any) -> None:
    self._app = app

  async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
    async def send_with_policy(message: Any) -> None:
      if message['type'] == 'http.response.start':
        headers = list(message.get('headers', []))
        headers.append((b'content-security-policy', _POLICY.encode()))
        message = {**message, 'headers': headers}
      await send(message)

    await self._app(scope, receive, send_with_policy)


def _free_port(port: int) -> int:
  """The port, or any free one where it is 0; OSError if it is taken."""
  with socket.socket() as found:
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
      found.bind((HOST, port))
    except OSError as error:
      raise OSError(f'`port` {port} is taken; choose another.') from error
    return int(found.getsockname()[1])
