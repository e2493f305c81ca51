"""The notebooks run from top to bottom, with small sizes."""

import json
import pathlib

import matplotlib as mpl
import pytest

COLABS = pathlib.Path(__file__).parents[1] / 'colabs'
# Values that replace those of each notebook's first code cell.
SMALL = {'MINUTES': 1e-4, 'NUM_PATCHES': 16}


@pytest.mark.parametrize('path', sorted(COLABS.glob('*.ipynb')), ids=str)
def test_notebook_runs(path, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  mpl.use('Agg')
  cells = [
    ''.join(cell['source'])
    for cell in json.loads(path.read_text())['cells']
    if cell['cell_type'] == 'code'
  ]
  names = {}
  for index, source in enumerate(cells):
    exec(compile(source, f'{path.name}, cell {index}', 'exec'), names)
    if index == 0:
      assert names.keys() >= SMALL.keys()
      names.update(SMALL)
  assert names['generated'].patches.shape == (16, 7, 7, 3)
