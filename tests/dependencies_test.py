"""The import rules of the package, read from its import statements."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[1] / 'internal_diffusion'

EVERYWHERE = (
  'types',
  'arrays',
  'files',
  'options',
  'jax_settings',
  'compilation',
  'version',
)
# What else each package may import, beside itself.
ALLOWED = {
  **{name: set() for name in EVERYWHERE},
  'data': set(),
  'diffusion': {'data'},
  'denoisers': {'data', 'diffusion'},
  'sampling': {'data', 'diffusion'},
  'evaluation': {'data'},
  'training': {'data', 'diffusion', 'denoisers'},
  'figures': {'data'},
  'report': set(),
  'configs': set(),
  'experiments': {
    'data',
    'diffusion',
    'denoisers',
    'sampling',
    'training',
    'evaluation',
    'applications',
    'configs',
    'figures',
  },
  'applications': {
    'data',
    'diffusion',
    'denoisers',
    'sampling',
    'training',
    'evaluation',
    'figures',
    'report',
  },
}
ALLOWED['web'] = {'applications', 'bin', 'data', 'report'}
# Libraries that only the named files may import.
CONFINED = {
  'PIL': {
    'data/clip_coding.py',
    'data/image_decoding.py',
    'data/image_encoding.py',
    'data/metadata.py',
  },
  'tifffile': {'data/image_decoding.py', 'data/image_encoding.py'},
  'orbax': {'training/checkpoint.py'},
  'tensorboardX': {'training/metrics.py'},
  'sklearn': {'evaluation', 'experiments'},
  'skimage': {
    'evaluation',
    'bin',
    'experiments',
    'applications/editing/edge_ends.py',
    'applications/flow/occlusion.py',
  },
  'absl': {'bin', 'web'},
  'gradio': {'web/page.py'},
  'ml_collections': {
    'bin',
    'configs',
  },
  'matplotlib': {'figures'},
}


def imported_modules(path):
  for node in ast.walk(ast.parse(path.read_text())):
    if isinstance(node, ast.Import):
      yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
      for alias in node.names:
        yield f'{node.module}.{alias.name}'


def source_files():
  return sorted(p for p in ROOT.rglob('*.py') if p.name != '__init__.py')


def own_package(module):
  parts = module.split('.')
  if parts[0] != 'internal_diffusion' or len(parts) < 2:
    return None
  return parts[1]


@pytest.mark.parametrize(
  'path', source_files(), ids=lambda p: str(p.relative_to(ROOT))
)
def test_imports_only_what_it_may(path):
  relative = path.relative_to(ROOT)
  package = relative.parts[0].removesuffix('.py')
  for module in imported_modules(path):
    other = own_package(module)
    if package != 'bin' and other not in (None, package, *EVERYWHERE):
      assert other in ALLOWED[package], f'{relative} imports {module}'
    confined = CONFINED.get(module.split('.')[0])
    if confined is not None:
      assert confined & {str(relative), package}, f'{relative} imports {module}'


def test_only_one_file_says_pmap():
  users = [p.name for p in source_files() if 'jax.pmap' in p.read_text()]
  assert users == ['parallel.py']


def test_sigmas_are_scanned_in_one_place():
  scans = [
    str(p.relative_to(ROOT))
    for p in source_files()
    if 'lax.scan' in p.read_text() and 'sampling' in p.parts
  ]
  assert scans == ['sampling/loop.py']
