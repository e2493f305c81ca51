"""What the page says of a run."""

import os

from internal_diffusion.web import messages
from internal_diffusion.web.jobs import Progress


def test_a_bar_has_a_value_where_the_fraction_is_known():
  progress = Progress(fraction=0.25, left='01:20', stage='fit', seconds=7.2)
  text = messages.bar(progress)
  assert '<p>fit, 25%, 7 s so far, 01:20 left</p>' in text
  assert 'value="0.25"' in text
  text = messages.bar(Progress(fraction=None, left='', stage='', seconds=0))
  assert '<p>0 s so far</p>' in text
  assert 'value' not in text


def test_what_a_file_is_called_is_no_html():
  for make in (messages.message, messages.error):
    assert '<b>&.png' not in make('<b>&.png')
    assert '&lt;b&gt;&amp;.png' in make('<b>&.png')


def test_the_reason_is_the_last_error():
  lines = ['a warning', 'idiff-edit: error: --mask is black.', 'more']
  assert messages.reason(lines) == '--mask is black.'
  assert messages.reason(['idiff-edit: error: no file']) == 'No file'
  assert messages.reason(['Killed']) == 'Killed'
  assert 'stopped' in messages.reason([])


def test_a_failure_names_a_file_without_its_folder():
  path = os.path.join(os.sep, 'uploads', '1', 'a.png')
  failure = ValueError(f'{path} is no picture.')
  assert messages.without_folder(failure, path) == 'a.png is no picture.'
