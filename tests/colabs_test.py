"""The notebooks run from top to bottom, with small sizes."""

import json
import pathlib

import jax
import matplotlib as mpl
import pytest

from internal_diffusion import PatchOptions, replace

COLABS = pathlib.Path(__file__).parents[1] / 'colabs'
# Values that replace those of each notebook's second code cell; the first
# installs the package.
SMALL = {
  'applications.ipynb': {'SIDE': 80, 'MINUTES': 1e-4, 'NUM_SAMPLES': 2},
  'learned_and_closed_form.ipynb': {'STEPS': 2, 'NUM_PATCHES': 64},
  'quickstart.ipynb': {'MINUTES': 1e-4, 'NUM_PATCHES': 16},
  'joint_distribution.ipynb': {'EFFORT': 1e-3},
  'frameworks.ipynb': {'EFFORT': 1e-3},
  'restoration.ipynb': {'SIDE': 48, 'NUM_SAMPLES': 2},
  'editing.ipynb': {'SIDE': 48, 'NUM_SAMPLES': 2},
}


@pytest.fixture(autouse=True)
def bounded_maps():
  """Forgets a notebook's compiled functions.

  Each takes several memory maps, a process may have 65530 of them by default on
  Linux, and XLA aborts beyond.
  """
  yield
  jax.clear_caches()


def run(name, tmp_path, monkeypatch, **replaced):
  """Runs all code cells of a notebook and returns its names.

  Args:
    name: File name of the notebook.
    tmp_path: Folder to run it in.
    monkeypatch: Pytest's fixture.
    **replaced: Values that replace imported names.
  """
  monkeypatch.chdir(tmp_path)
  mpl.use('Agg')
  cells = [
    ''.join(cell['source'])
    for cell in json.loads((COLABS / name).read_text())['cells']
    if cell['cell_type'] == 'code'
  ]
  # What a notebook has without asking.
  names = {'display': lambda value: None}
  for index, source in enumerate(cells):
    exec(compile(source, f'{name}, cell {index}', 'exec'), names)
    if index == 1:
      assert names.keys() >= SMALL[name].keys()
      names.update(SMALL[name])
    names.update({n: v for n, v in replaced.items() if n in names})
  return names


def test_every_notebook_is_tested():
  assert {path.name for path in COLABS.glob('*.ipynb')} == SMALL.keys()


@pytest.mark.parametrize('name', SMALL)
def test_the_first_cell_installs_the_package(name):
  cells = json.loads((COLABS / name).read_text())['cells']
  assert 'colab.research.google.com' in ''.join(cells[0]['source'])
  assert "'pip', 'install'" in ''.join(cells[1]['source'])


def small_options():
  return replace(
    PatchOptions(),
    pyramid={'min_side': 80},
    network={'width': 16, 'depth': 1, 'embedding_dim': 8},
    batch_size=32,
    num_references=32,
    sampling={'num_steps': 4},
  )


def test_quickstart_with_a_small_network(tmp_path, monkeypatch):
  monkeypatch.setitem(SMALL['quickstart.ipynb'], 'NUM_PATCHES', 9)
  names = run(
    'quickstart.ipynb', tmp_path, monkeypatch, PatchOptions=small_options
  )
  assert names['generated'].patches.shape == (9, 7, 7, 3)
  assert names['model'].options.network.width == 16
  assert abs(names['strip']).max() <= 1


@pytest.mark.long
def test_quickstart(tmp_path, monkeypatch):
  names = run('quickstart.ipynb', tmp_path, monkeypatch)
  assert names['generated'].patches.shape == (16, 7, 7, 3)


@pytest.mark.long
@pytest.mark.filterwarnings('ignore:More than 20 figures')
def test_joint_distribution(tmp_path, monkeypatch):
  names = run('joint_distribution.ipynb', tmp_path, monkeypatch)
  assert len(names['results']) == 8
  for result in names['results'].values():
    assert result.measures
    assert result.pictures
    assert result.samples


@pytest.mark.long
@pytest.mark.filterwarnings('ignore:More than 20 figures')
@pytest.mark.filterwarnings('ignore::sklearn.exceptions.ConvergenceWarning')
def test_frameworks(tmp_path, monkeypatch):
  names = run('frameworks.ipynb', tmp_path, monkeypatch)
  assert len(names['results']) == 12
  for result in names['results'].values():
    assert result.measures
    assert result.pictures


@pytest.mark.long
@pytest.mark.filterwarnings('ignore:More than 20 figures')
def test_applications(tmp_path, monkeypatch):
  names = run('applications.ipynb', tmp_path, monkeypatch)
  image = names['image']
  assert names['new'][0].shape == image.shape
  assert len(names['filled'].samples) == 2
  assert names['larger'].mean.shape[0] == 2 * len(names['small'])
  assert names['restored'].mean.shape == image.shape
  assert names['flow'].covariance.shape == (*image.shape[:2], 2, 2)


@pytest.mark.long
def test_learned_and_closed_form(tmp_path, monkeypatch):
  names = run(
    'learned_and_closed_form.ipynb',
    tmp_path,
    monkeypatch,
    PatchOptions=small_options,
  )
  assert names['copies']['closed form'] > 0.9
  assert names['errors']['seen', 'closed form'][0] < 0.05


@pytest.mark.long
def test_restoration(tmp_path, monkeypatch):
  names = run('restoration.ipynb', tmp_path, monkeypatch)
  for name in ('denoised', 'filled', 'sharp', 'smooth'):
    assert len(names[name].samples) == 2
    assert (names[name].low <= names[name].high).all()


@pytest.mark.long
@pytest.mark.filterwarnings('ignore:More than 20 figures')
def test_editing(tmp_path, monkeypatch):
  names = run('editing.ipynb', tmp_path, monkeypatch)
  for name in ('filled', 'painted', 'fitted', 'referred', 'varied'):
    assert len(names[name].samples) == 2
  assert names['error'] < 15
  assert min(names['referred'].found['low_band_psnr']) > 45
