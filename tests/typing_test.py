"""The public names have complete types, as `mypy --strict` of a user sees."""

import pathlib
import subprocess
import sys

import yaml

import internal_diffusion

ROOT = pathlib.Path(__file__).parents[1]
PROGRAM = ROOT / 'tests' / 'typed_program.py'


def test_a_strict_program_that_uses_each_public_name():
  text = PROGRAM.read_text()
  for name in internal_diffusion.__all__:
    assert f'idiff.{name}' in text, name
  done = subprocess.run(
    [
      *(sys.executable, '-m', 'mypy', '--strict', '--config-file='),
      *('--follow-imports=silent', f'--cache-dir={ROOT}/.mypy_cache'),
      str(PROGRAM),
    ],
    cwd=ROOT,
    capture_output=True,
    text=True,
  )
  assert done.returncode == 0, done.stdout + done.stderr


def test_the_citation_has_the_version():
  citation = yaml.safe_load((ROOT / 'CITATION.cff').read_text())
  assert citation['version'] == internal_diffusion.__version__
  assert citation['cff-version'] == '1.2.0'
