"""The page: a tab for each use, in the system's own fonts.

This is the only file that imports Gradio.
"""

import pathlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

try:
  import gradio as gr
except ImportError:  # Without the extra `web` there is no page.
  gr = None

from internal_diffusion.web import messages, runs, uploads
from internal_diffusion.web.controls import Control, Kind
from internal_diffusion.web.jobs import Job
from internal_diffusion.web.sessions import Sessions
from internal_diffusion.web.use import Upload, Use

_TITLE = 'Internal diffusion'
_INTRO = (
  '# Internal diffusion\n'
  'Everything here is learnt from your own picture, on this computer. Nothing'
  ' is sent anywhere.'
)
_CSS = """
.status progress { width: 100%; height: 1rem; }
.status .error { color: #b00020; font-weight: 600; }
.gradio-container { margin: auto; }
.gradio-container .column, .gradio-container .row { min-width: 0 !important; }
.gradio-container .column > * { max-width: 100%; }
.gradio-container, .gradio-container main { width: 100%; min-width: 0; }
.gradio-container { max-width: min(75rem, 100vw) !important; }
@media (max-width: 40rem) {
  .form-and-results { flex-direction: column; }
  .form-and-results > .column { width: 100%; }
}
"""
_QUEUE = 'job'  # Jobs of all tabs wait in one queue.
_POLL_SECONDS = 0.2


def make_page(uses: Sequence[Use], sessions: Sessions) -> Any:
  """The page as Gradio's blocks.

  Args:
    uses: What the page has a tab for.
    sessions: The runs of those who have the page open.
  """
  with gr.Blocks(
    title=_TITLE, analytics_enabled=False, delete_cache=(3600, 24 * 3600)
  ) as demo:
    gr.Markdown(_INTRO)
    for use in uses:
      with gr.Tab(use.title, id=use.command):
        _Tab(use, sessions)
    demo.unload(_closing(sessions))
  return demo


def make_style() -> dict[str, Any]:
  """Arguments of Gradio's `launch` that say how the page looks."""
  system = ['system-ui', 'sans-serif']
  return {
    'theme': gr.themes.Default(font=system, font_mono=['monospace']).set(
      block_info_text_color='*neutral_600'  # The default is hard to read.
    ),
    'css': _CSS,
    'footer_links': [],
  }


class _Tab:
  """A form, its buttons and its results."""

  def __init__(self, use: Use, sessions: Sessions) -> None:
    self._use, self._sessions = use, sessions
    gr.Markdown(use.text)
    with gr.Row(elem_classes='form-and-results'):
      with gr.Column(scale=1, min_width=300):
        self._make_form()
      with gr.Column(scale=1, min_width=300):
        self._make_results()
    self._connect()

  def _make_form(self) -> None:
    use = self._use
    required = [upload for upload in use.uploads if upload.is_required]
    others = [upload for upload in use.uploads if not upload.is_required]
    self._files = [self._file(upload) for upload in required]
    self._picture = self._make_picture()
    if others:
      with gr.Accordion('More files', open=False):
        self._files += [self._file(upload) for upload in others]
    with gr.Row():
      name = use.command
      self._run = gr.Button('Run', variant='primary', elem_id=f'run_{name}')
      self._stop = gr.Button('Cancel', elem_id=f'cancel_{name}')
    self._status = gr.HTML(
      messages.message('Give a picture and press Run.'),
      elem_classes='status',
      elem_id=f'status_{name}',
    )
    self._values = [self._value(control) for control in use.controls]
    self._seed = gr.Number(
      0, label='Seed', precision=0, minimum=0, info='Of everything random.'
    )

  def _make_picture(self) -> Any:
    """The picture, to look at or to paint a mask on."""
    if not self._use.paints_mask:
      return gr.Image(
        label='Preview', interactive=False, height=240, buttons=[]
      )
    return gr.ImageEditor(
      label='Paint over what changes',
      type='numpy',
      format='png',
      sources=(),
      transforms=(),
      layers=False,
      brush=gr.Brush(colors=['#ff0044'], color_mode='fixed'),
      height=420,
      elem_id=f'editor_{self._use.command}',
    )

  def _make_results(self) -> None:
    use = self._use
    self._pair = gr.ImageSlider(
      label='Before and after',
      type='filepath',
      format='png',
      interactive=False,
      visible=bool(use.before),
    )
    self._gallery = gr.Gallery(
      label='Pictures',
      format='png',
      interactive=False,
      columns=2,
      object_fit='contain',
    )
    self._uncertainty = gr.Image(
      label='Uncertainty',
      format='png',
      interactive=False,
      visible=bool(use.uncertainty),
    )
    self._line = gr.Textbox(
      label='The same in a terminal', interactive=False, lines=2
    )
    self._archive = gr.DownloadButton(
      'Download everything', interactive=False, elem_id=f'zip_{use.command}'
    )

  def _file(self, upload: Upload) -> Any:
    return gr.File(
      label=upload.label,
      type='filepath',
      height=130,
      elem_id=f'{self._use.command}_{upload.label.split()[0].lower()}',
    )

  def _value(self, control: Control) -> Any:
    common = {'label': control.label, 'info': control.text}
    if control.kind is Kind.CHECK:
      return gr.Checkbox(control.default, **common)
    if control.kind is Kind.CHOICE:
      chosen = control.default or control.choices[0]
      return gr.Dropdown(list(control.choices), value=chosen, **common)
    if control.kind is Kind.NUMBER:
      precision = 0 if control.is_whole else None
      return gr.Number(control.default, precision=precision, **common)
    return gr.Textbox('', placeholder='automatic', **common)

  def _connect(self) -> None:
    """Says what happens where something is pressed or given."""
    name = self._use.command
    ticket = gr.State(0)
    shown = [
      self._status,
      self._pair,
      self._gallery,
      self._uncertainty,
      self._line,
      self._archive,
    ]
    quick = {'queue': False, 'show_progress': 'hidden'}
    self._files[0].change(
      self._preview,
      self._files[0],
      [self._picture, self._status],
      api_name=f'{name}_preview',
      **quick,
    )
    self._run.click(
      self._submit, None, [ticket, self._status], api_name=False, **quick
    ).then(
      self._process,
      [ticket, self._picture, self._seed, *self._files, *self._values],
      shown,
      api_name=name,
      concurrency_id=_QUEUE,
      concurrency_limit=1,
      show_progress='hidden',
    )
    self._stop.click(
      self._cancel, None, self._status, api_name=f'{name}_cancel', **quick
    )

  def _preview(self, path: str | None) -> tuple[Any, str]:
    """The picture that was given, or why it cannot be read."""
    if path is None:
      return None, messages.message('Give a picture and press Run.')
    try:
      is_clip = self._use.uploads[0].is_clip
      picture = uploads.preview(pathlib.Path(path), is_clip=is_clip)
    except (ValueError, OSError) as error:
      return None, messages.error(messages.without_folder(error, path))
    if picture is None:
      return None, messages.message('Ready.')
    if not self._use.paints_mask:
      return picture, messages.message('Ready.')
    value = {'background': picture, 'layers': [], 'composite': None}
    return value, messages.message('Ready.')

  def _submit(self, request: 'gr.Request') -> tuple[int, str]:
    ticket = self._sessions.submit(request.session_hash or '')
    return ticket, messages.message('Waiting for its turn.')

  def _cancel(self, request: 'gr.Request') -> str:
    was_there = self._sessions.cancel(request.session_hash or '')
    return messages.message(
      'Cancelled.' if was_there else 'Nothing is running.'
    )

  def _process(
    self,
    request: 'gr.Request',
    ticket: int,
    picture: Any,
    seed: float | None,
    *given: Any,
  ) -> Iterator[tuple]:
    """Runs the command, and yields what is shown meanwhile and at the end."""
    session = request.session_hash or ''
    if not self._sessions.is_wanted(session, ticket):
      yield self._only_status(messages.message('Cancelled.'))
      return
    num = len(self._files)
    try:
      folder = self._sessions.new_folder(session)
      arguments = runs.prepare(
        self._use,
        folder,
        files=given[:num],
        values=given[num:],
        seed=seed,
        painted=_painted(picture) if self._use.paints_mask else None,
      )
    except (ValueError, OSError) as error:
      yield self._only_status(messages.error(str(error)))
      return
    job = Job(self._use.command, arguments, folder)
    self._sessions.start(session, ticket, job)
    while job.is_running:
      yield self._only_status(messages.bar(job.progress))
      time.sleep(_POLL_SECONDS)
    code = job.wait()
    if not self._sessions.is_wanted(session, ticket):
      yield self._only_status(messages.message('Cancelled.'))
      return
    self._sessions.finish(session, ticket)
    if code:
      yield self._only_status(messages.error(messages.reason(job.lines)))
      return
    yield self._results(folder, arguments, job)

  def _results(
    self, folder: pathlib.Path, arguments: Sequence[str], job: Job
  ) -> tuple:
    shown = runs.collect(self._use, folder)
    text = f'Done in {job.progress.seconds:.0f} s. {" ".join(job.lines)}'
    return (
      messages.message(text),
      shown.pair,
      shown.gallery,
      shown.uncertainty,
      runs.command_line(self._use, arguments),
      gr.DownloadButton(value=shown.archive, interactive=True),
    )

  def _only_status(self, text: str) -> tuple:
    return (text, *[gr.skip()] * 5)


def _closing(sessions: Sessions) -> Callable:
  """What is done where a person closes the page."""

  def close(request: 'gr.Request') -> None:
    sessions.close(request.session_hash or '')

  return close


def _painted(value: Any) -> Any:
  """The layer that was painted, uint8 [H, W, 4], or None."""
  layers = (value or {}).get('layers') or [None]
  return layers[0]
