"""Sphinx's settings; `make docs` builds the site without a network."""

import pathlib
import re
import shutil

import internal_diffusion

project = 'internal_diffusion'
author = 'The internal_diffusion authors'
release = version = internal_diffusion.__version__

extensions = [
  'myst_nb',
  'sphinx.ext.autodoc',
  'sphinx.ext.doctest',
  'sphinx.ext.napoleon',
]
exclude_patterns = ['_build', 'pictures']
html_theme = 'furo'
html_title = 'internal_diffusion'
html_show_sourcelink = False
myst_heading_anchors = 3
nb_execution_mode = 'off'  # The tests execute the notebooks.
default_role = 'code'
autodoc_member_order = 'groupwise'
autodoc_typehints = 'none'
napoleon_numpy_docstring = False
napoleon_use_ivar = True
doctest_test_doctest_blocks = ''  # Docstrings are pytest's.
trim_doctest_flags = True

_HERE = pathlib.Path(__file__).parent
_ROOT = _HERE.parent
_CODE = re.compile(r'(``?[^`]*``?)')


def _copy_sources() -> None:
  """Copies what the site shares with the repository."""
  made = _HERE / 'made'
  shutil.rmtree(made, ignore_errors=True)
  made.mkdir()
  for path in (_ROOT / 'colabs').glob('*.ipynb'):
    shutil.copy(path, made / path.name)
  for path, name in (
    (_ROOT / 'benchmarks' / 'RESULTS.md', 'results.md'),
    (_ROOT / 'benchmarks' / 'TRIED.md', 'tried.md'),
    (_ROOT / 'CHANGELOG.md', 'changes.md'),
  ):
    text = path.read_text().replace('(TRIED.md)', '(tried.md)')
    text = text.replace('(RESULTS.md)', '(results.md)')
    (made / name).write_text(text)


def _to_rst(app, what, name, obj, options, lines) -> None:
  """Escapes what reStructuredText would read as its own marks."""
  del app, what, name, obj, options
  is_code = False
  for index, line in enumerate(lines):
    if line.strip() and not line.startswith(' '):
      is_code = line.startswith(('>>>', '...'))
    if is_code or line.lstrip().startswith(('>>>', '...', '..', ':')):
      continue
    parts = _CODE.split(line)
    parts[::2] = [
      re.sub(r'(?<!\\)([*|]|_(?=\W|$))', r'\\\1', part) for part in parts[::2]
    ]
    lines[index] = ''.join(parts)


def setup(app) -> None:
  """Connects the functions above."""
  _copy_sources()
  app.connect('autodoc-process-docstring', _to_rst, priority=900)
