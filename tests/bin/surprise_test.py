"""idiff-surprise as a person runs it."""

import numpy as np
import pytest
import skimage.data

from internal_diffusion.data import image_io
from tests.bin import commands


@pytest.fixture(scope='module')
def photo(tmp_path_factory):
  path = tmp_path_factory.mktemp('photographs') / 'coffee.png'
  image = 2 * skimage.data.coffee()[::12, ::12].astype(np.float32) / 255 - 1
  image_io.write_image(path, image)
  return path


def test_writes_a_map_of_its_own_patches_or_anothers(photo, tmp_path):
  code, printed, err = commands.run(
    'surprise', f'--image={photo}', f'--out={tmp_path / "own"}'
  )
  assert code == 0, err
  assert 'a map' in printed
  report = commands.assert_report(tmp_path / 'own' / 'report.json')
  assert 0 < report['figures']['mean_bits'] < 8
  with np.load(tmp_path / 'own' / 'surprise.npz') as found:
    assert found['bits'].shape == (34, 50)
  assert (tmp_path / 'own' / 'surprise.png').exists()
  code, _, err = commands.run(
    'surprise',
    f'--image={photo}',
    f'--reference={photo}',
    '--sigma=0.05',
    f'--out={tmp_path / "other"}',
  )
  assert code == 0, err
  other = commands.assert_report(tmp_path / 'other' / 'report.json')
  assert other['figures']['sigma'] == 0.05
  # Nothing is left out, so nothing surprises.
  assert other['figures']['mean_bits'] < report['figures']['mean_bits']


@pytest.mark.parametrize(
  ('arguments', 'word'),
  [
    (('--patch_size=6',), '--patch_size'),
    (('--sigma=0',), '--sigma'),
    (('--reference=a.png', '--workdir=b'), '--reference'),
    (('--workdir=none',), 'none'),
  ],
)
def test_bad_flags_give_one_line_and_code_2(photo, tmp_path, arguments, word):
  out = tmp_path / 'out'
  code, _, err = commands.run(
    'surprise', f'--image={photo}', f'--out={out}', *arguments
  )
  commands.assert_one_line_and_nothing_written(code, err, out)
  assert word in err
