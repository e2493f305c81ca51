"""One save and one load, for every kind of model and every way to fail."""

import json
import math
import os
import pathlib
import stat

import chex
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import internal_diffusion
from internal_diffusion.data.distributions import Layout, Part
from internal_diffusion.data.principal_basis import PrincipalBasis
from internal_diffusion.denoisers.closed_form import ClosedFormDenoiser
from internal_diffusion.denoisers.gaussian import GaussianDenoiser
from internal_diffusion.denoisers.learned import (
  LearnedDenoiser,
  PrincipalDenoiser,
)
from internal_diffusion.denoisers.parametrization import Parametrization
from internal_diffusion.denoisers.score_mlp import ScoreMLP
from internal_diffusion.training import model_files
from internal_diffusion.training.options import DenoiserOptions


def gaussian(mean=1.0):
  return GaussianDenoiser.create([mean, 2.0], [[1.0, 0.2], [0.2, 3.0]])


def learned():
  """Flax module, enum, layout, nested dicts, None, floats, basis."""
  layout = Layout((Part('target', 2),), (Part('delta', 3),), num_levels=2)
  params = {'params': {'Dense_0': {'kernel': jnp.arange(6.0).reshape(2, 3)}}}
  basis = PrincipalBasis(jnp.zeros(2), jnp.eye(2), jnp.ones((2, 2)))
  return LearnedDenoiser(
    params=params,
    basis=basis,
    cond_basis=None,
    network=ScoreMLP(output_dim=4, width=8, compute_dtype='bfloat16'),
    layout=layout,
    parametrization=Parametrization.VP_V,
    sigma_aug=0.1,
  )


def closed_form():
  references = np.random.default_rng(0).normal(size=(30, 2))
  return ClosedFormDenoiser.create(
    references,
    conditions=references[:, :1],
    sigma_aug=0.2,
    levels=jnp.arange(30) % 2,
    query_chunk=7,
  )


@pytest.mark.parametrize(
  'make',
  [gaussian, learned, closed_form, lambda: PrincipalDenoiser(learned())],
  ids=['gaussian', 'learned', 'closed_form', 'composition'],
)
def test_comes_back_bit_for_bit_and_compiles_as_it_did(tmp_path, make):
  model = make()
  model_files.save(tmp_path, model)
  loaded = model_files.load(tmp_path, type(model))
  chex.assert_trees_all_equal(loaded, model)
  # Static fields are part of the structure, so jit sees one kind of model.
  assert jax.tree.structure(loaded) == jax.tree.structure(model)
  assert hash(jax.tree.structure(loaded)) == hash(jax.tree.structure(model))


@pytest.mark.parametrize(
  'value',
  [
    math.inf,
    -math.inf,
    1e-300,
    0.1,
    2**60,
    True,
    'a "quoted" ü',
    None,
    (1, (2.5, 'x'), ()),
    Parametrization.FLOW,
    DenoiserOptions(),
  ],
  ids=repr,
)
def test_every_kind_of_static_value_comes_back(tmp_path, value):
  model_files.save(tmp_path, {'value': value})
  found = model_files.load(tmp_path)['value']
  assert found == value
  assert type(found) is type(value)


@pytest.mark.parametrize(
  'array',
  [
    np.arange(6, dtype=np.int32).reshape(2, 3),
    np.array([True, False]),
    np.float32(np.nan),
    np.zeros((0, 3), np.float32),
    jnp.arange(3.0).astype(jnp.bfloat16),
    np.arange(4, dtype=np.uint8),
  ],
  ids=lambda a: f'{a.dtype}{a.shape}',
)
def test_every_kind_of_array_comes_back(tmp_path, array):
  model_files.save(tmp_path, {'a': array, 'b': [array, array]})
  found = model_files.load(tmp_path)
  for value in (found['a'], *found['b']):
    assert value.dtype == array.dtype
    np.testing.assert_array_equal(value, array)


def test_numbers_of_double_precision_become_float32(tmp_path):
  model_files.save(tmp_path, {'a': np.float64([0.1, 2.0])})
  with jax.enable_x64(True):
    found = model_files.load(tmp_path)['a']
  assert found.dtype == jnp.float32
  np.testing.assert_array_equal(found, np.float32([0.1, 2.0]))


def test_a_model_without_arrays_comes_back(tmp_path):
  model_files.save(tmp_path, DenoiserOptions(seed=3))
  assert model_files.load(tmp_path) == DenoiserOptions(seed=3)


def test_the_options_can_be_read(tmp_path):
  model_files.save(tmp_path, gaussian(), options=DenoiserOptions(seed=5))
  assert model_files.load_options(tmp_path)['seed'] == 5
  model_files.save(tmp_path, gaussian())
  assert model_files.load_options(tmp_path) is None


def test_the_package_exports_both():
  assert internal_diffusion.save is model_files.save
  assert internal_diffusion.load is model_files.load


def test_a_home_folder_is_expanded(tmp_path, monkeypatch):
  monkeypatch.setenv('HOME', str(tmp_path))
  model_files.save('~/run', gaussian())
  assert (tmp_path / 'run').is_dir()
  assert model_files.has_model('~/run')
  chex.assert_trees_all_equal(model_files.load('~/run'), gaussian())


def test_a_model_replaces_another_and_leaves_nothing_of_it(tmp_path):
  model_files.save(tmp_path, closed_form())
  model_files.save(tmp_path, gaussian())
  chex.assert_trees_all_equal(model_files.load(tmp_path), gaussian())
  assert os.listdir(tmp_path) == [model_files.MODEL_DIR]


@pytest.mark.parametrize('function', ['write_arrays', 'write_text', 'replace'])
def test_a_write_that_fails_keeps_the_old_model(
  tmp_path, monkeypatch, function
):
  model_files.save(tmp_path, gaussian(1.0))

  def fail(*arguments, **options):
    raise OSError(28, 'No space left on device')

  with monkeypatch.context() as patch:
    match function:
      case 'write_arrays':
        patch.setattr(model_files.checkpoint, 'write_arrays', fail)
      case 'write_text':
        patch.setattr(pathlib.Path, 'write_text', fail)
      case 'replace':
        rename = os.replace

        def fail_at_the_new_model(source, target):
          new = json.loads((pathlib.Path(source) / 'model.json').read_text())
          if (
            pathlib.Path(target).name == model_files.MODEL_DIR
            and new['options']
          ):
            fail()
          rename(source, target)

        patch.setattr(model_files.os, 'replace', fail_at_the_new_model)
    with pytest.raises(OSError, match='No space left'):
      model_files.save(tmp_path, gaussian(2.0), options=DenoiserOptions())
  chex.assert_trees_all_equal(model_files.load(tmp_path), gaussian(1.0))
  assert os.listdir(tmp_path) == [model_files.MODEL_DIR]


def test_no_model_is_one_line(tmp_path):
  with pytest.raises(ValueError, match='holds no trained model'):
    model_files.load(tmp_path)
  assert not model_files.has_model(tmp_path / 'missing')


def test_a_half_written_model_is_none(tmp_path):
  target = model_files.save(tmp_path, gaussian())
  os.rename(target, target.with_name('.0123.tmp'))
  assert not model_files.has_model(tmp_path)


def test_another_kind_is_named(tmp_path):
  model_files.save(tmp_path, gaussian())
  with pytest.raises(
    ValueError, match='another kind, GaussianDenoiser; LearnedDenoiser is'
  ):
    model_files.load(tmp_path, LearnedDenoiser)


def edit(folder, **changes):
  path = folder / model_files.MODEL_DIR / 'model.json'
  content = json.loads(path.read_text())
  path.write_text(json.dumps({**content, **changes}))


def test_another_version_is_named(tmp_path):
  model_files.save(tmp_path, gaussian())
  edit(tmp_path, version=99)
  with pytest.raises(ValueError, match='version 99 of the format'):
    model_files.load(tmp_path)


@pytest.mark.parametrize('text', ['', '{', '[]', '3', '{"kind": "x"}'])
def test_a_damaged_description_is_one_line(tmp_path, text):
  model_files.save(tmp_path, gaussian())
  (tmp_path / model_files.MODEL_DIR / 'model.json').write_text(text)
  with pytest.raises(ValueError, match=r'model.json is damaged'):
    model_files.load(tmp_path)


@pytest.mark.parametrize(
  'structure',
  [None, {'class': 'x'}, {'array': '0000'}, {'class': 3, 'fields': {}}],
)
def test_a_damaged_structure_is_one_line(tmp_path, structure):
  model_files.save(tmp_path, gaussian())
  edit(tmp_path, structure=structure)
  with pytest.raises(ValueError, match='is damaged') as info:
    model_files.load(tmp_path)
  assert '\n' not in str(info.value)


def array_files(folder):
  arrays = folder / model_files.MODEL_DIR / 'arrays'
  return [path for path in arrays.rglob('*') if path.is_file()]


@pytest.mark.parametrize('damage', ['truncate', 'flip', 'remove'])
def test_damaged_arrays_are_one_line(tmp_path, damage):
  model_files.save(tmp_path, closed_form())
  path = max(array_files(tmp_path), key=lambda p: p.stat().st_size)
  content = bytearray(path.read_bytes())
  match damage:
    case 'truncate':
      path.write_bytes(content[:50])
    case 'flip':
      content[len(content) // 2] ^= 0xFF
      path.write_bytes(content)
    case 'remove':
      path.unlink()
  with pytest.raises(ValueError, match='is damaged') as info:
    model_files.load(tmp_path)
  assert '\n' not in str(info.value)


def test_a_folder_that_cannot_be_written_is_an_os_error(tmp_path):
  (tmp_path / 'file').write_text('')
  with pytest.raises(OSError, match='file'):
    model_files.save(tmp_path / 'file', gaussian())


@pytest.mark.skipif(os.geteuid() == 0, reason='root may write anywhere')
def test_a_read_only_folder_is_an_os_error(tmp_path):
  tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
  try:
    with pytest.raises(OSError, match='Permission'):
      model_files.save(tmp_path, gaussian())
  finally:
    tmp_path.chmod(stat.S_IRWXU)


@flax.struct.dataclass
class Stranger:
  params: jax.Array


def test_a_class_of_another_package_is_refused_when_it_is_saved(tmp_path):
  with pytest.raises(ValueError, match='Stranger is no class of the library'):
    model_files.save(tmp_path, Stranger(jnp.zeros(1)))
  assert not model_files.has_model(tmp_path)


@pytest.mark.parametrize(
  'name',
  [
    'os:system',
    'subprocess:Popen',
    'internal_diffusion.training.model_files:save',
    'internal_diffusion.training.checkpoint:os',
    'internal_diffusion_evil:Model',
  ],
)
def test_nothing_but_the_librarys_values_is_made_at_loading(tmp_path, name):
  model_files.save(tmp_path, gaussian())
  edit(tmp_path, structure={'class': name, 'fields': {}}, crc32=0)
  with pytest.raises(ValueError, match='no class of'):
    model_files.load(tmp_path)


@pytest.mark.parametrize('value', [lambda x: x, object(), {1, 2}, {1: 2}])
def test_a_value_without_a_form_is_refused(tmp_path, value):
  with pytest.raises(ValueError, match='cannot hold'):
    model_files.save(tmp_path, {'value': value})
  assert not model_files.has_model(tmp_path)


def test_a_loaded_model_is_the_same_denoiser(tmp_path):
  model = closed_form()
  model_files.save(tmp_path, model)
  loaded = internal_diffusion.load(tmp_path)
  x = jnp.array([[0.3, -0.2]])
  cond = internal_diffusion.Condition(
    level=jnp.array([1]), vector=jnp.array([[0.1]])
  )
  np.testing.assert_array_equal(
    loaded(x, jnp.float32(0.3), cond), model(x, jnp.float32(0.3), cond)
  )
