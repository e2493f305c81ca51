"""idiff-flow on particle images, as a person runs it."""

import csv

import numpy as np
import pytest

from internal_diffusion.data import flow_io, image_io
from tests.applications.measurement.particle_images import particles, turn
from tests.bin import commands


def run(*arguments):
  return commands.run('flow', *arguments)


@pytest.fixture(scope='module')
def particle_folder(tmp_path_factory):
  path = tmp_path_factory.mktemp('particles')
  for seed in range(2):
    for name, frame in zip('ab', particles(seed, turn(0.05)), strict=True):
      image_io.write_image(path / f'{seed}{name}.png', frame)
  image_io.write_image(path / 'odd.png', frame[:50])
  image_io.write_image(path / 'flat.png', np.zeros_like(frame))
  image_io.write_image(path / 'black.png', -np.ones_like(frame))
  places = np.indices(frame.shape[:2])[::-1].reshape(2, -1).T
  truth = turn(0.05)(places).reshape(*frame.shape[:2], 2)
  flow_io.write_flow(path / 'truth.flo', truth)
  mask = np.full(frame.shape, -1, np.float32)
  mask[:40, :40] = 1
  image_io.write_image(path / 'mask.png', mask)
  return path


@pytest.fixture(scope='module')
def particle_model(tmp_path_factory):
  return tmp_path_factory.mktemp('particle_model')


def frames_of(folder, *names):
  return '--frames=' + ','.join(str(folder / f'{name}.png') for name in names)


def test_particles_are_found_and_measured_with_units(
  particle_folder, particle_model, tmp_path
):
  arguments = (
    frames_of(particle_folder, '0a', '0b', '1a', '1b', '0a', 'odd'),
    '--double_frames',
    f'--mask={particle_folder / "mask.png"}',
    '--pixels_per_mm=10',
    '--dt=0.5',
    '--num_pairs=1',
    f'--workdir={particle_model}',
    f'--out={tmp_path / "out"}',
  )
  code, out, err = run(*arguments)
  assert code == 0, err
  assert 'taken for particles' in out
  assert 'odd.png is left out' in err
  first = tmp_path / 'out' / '000_001'
  assert {p.name for p in first.iterdir()} == {
    *('flow.flo', 'flow.png', 'vectors.png', 'residuals.png'),
    *('reliability.png', 'vectors.csv', 'vectors.nc', 'result.npz'),
    *('report.json', 'index.html'),
  }
  with open(first / 'vectors.csv') as file:
    rows = list(csv.DictReader(file))
  assert len(rows) == 36
  assert rows[0] | {'u': 'nan', 'sigma_u': 'inf', 'valid': '0'} == rows[0]
  row = rows[21]  # x = 56 and y = 56 pixels.
  assert row['valid'] == '1'
  assert row['unit_u'] == 'mm/s'
  assert float(row['u']) == pytest.approx(-0.05 * 8.5 / 5, abs=0.02)
  assert float(row['vorticity']) == pytest.approx(0.2, abs=0.05)
  with np.load(first / 'result.npz') as result:
    assert np.isnan(result['mean'][10, 10]).all()
    assert result['covariance'].shape == (96, 96, 2, 2)
  with open(tmp_path / 'out' / 'ensemble.csv') as file:
    mean = list(csv.DictReader(file))[21]
  assert mean['number'] == '2'
  assert_left_out(tmp_path / 'out', 'odd.png')
  # Pairs that are done already keep their part in what is common.
  common = ('vectors.nc', 'ensemble.csv', 'ensemble.nc')
  before = [(tmp_path / 'out' / name).read_bytes() for name in common]
  code, out, err = run(*arguments)
  assert code == 0, err
  assert 'done already' in out
  after = [(tmp_path / 'out' / name).read_bytes() for name in common]
  assert after == before


def assert_left_out(out, name):
  report = commands.assert_report(out / 'report.json')
  (path,) = report['figures']['left_out']
  assert path.endswith(name)


def test_a_sequence_with_a_pair_left_has_folders_and_an_ensemble(
  particle_folder, particle_model, tmp_path
):
  code, _, err = run(
    frames_of(particle_folder, '0a', '0b', 'odd'),
    f'--workdir={particle_model}',
    f'--out={tmp_path}',
  )
  assert code == 0, err
  assert (tmp_path / '000_001' / 'vectors.csv').exists()
  assert (tmp_path / 'ensemble.csv').exists()
  assert_left_out(tmp_path, 'odd.png')


def test_particles_are_compared_with_a_truth(
  particle_folder, particle_model, tmp_path
):
  code, out, err = run(
    frames_of(particle_folder, '0a', '0b'),
    f'--truth={particle_folder / "truth.flo"}',
    f'--mask={particle_folder / "black.png"}',
    f'--workdir={particle_model}',
    f'--out={tmp_path}',
  )
  assert code == 0, err
  assert 'mean endpoint error' in out
  assert 'warning' not in err
  figures = commands.assert_report(tmp_path / 'report.json')['figures']
  assert figures['aepe'] < 0.1
  assert figures['vectors'] == 36


def test_frames_that_are_no_pair_are_warned_of(
  particle_folder, particle_model, tmp_path
):
  code, _, err = run(
    frames_of(particle_folder, '0a', '1a'),
    f'--workdir={particle_model}',
    f'--out={tmp_path}',
  )
  assert code == 0, err
  assert 'idiff-flow: warning: ' in err
  assert 'may not be a pair' in err
  figures = commands.assert_report(tmp_path / 'report.json')['figures']
  assert figures['valid_vectors'] < 18
  assert 'vectors valid from 0a.png to 1a.png' in figures['warning']


def test_pairs_that_fail_and_constant_frames_are_named(
  particle_folder, particle_model, tmp_path
):
  code, _, err = run(
    frames_of(particle_folder, 'flat', '0a', 'flat'),
    f'--workdir={particle_model}',
    f'--out={tmp_path}',
  )
  assert code == 3
  assert 'flat.png must show something' in err
  last = err.strip().splitlines()[-1]
  assert '2 of 2 inputs failed' in last
  assert last.count('.png and ') == 2


def test_particles_refuse_options_unlike_those_of_the_saved_model(
  particle_folder, particle_model, tmp_path
):
  code, _, err = run(
    frames_of(particle_folder, '0a', '0b'),
    f'--workdir={particle_model}',
    f'--out={tmp_path}',
    '--max_window=30',
  )
  assert '--max_window is 30' in err
  commands.assert_one_line_and_nothing_written(code, err, tmp_path)


@pytest.mark.parametrize(
  ('options', 'message'),
  [
    (('--grid=97',), '--grid'),
    (('--dt=0',), '--dt'),
    (('--kind=fluid',), '--kind'),
    (('--stereo',), '--stereo is for photographs'),
    (('--points=3:4',), '--points is for photographs'),
    (('--mask=DIR/odd.png',), '--mask must have the size'),
    (
      ('--double_frames', '--frames=DIR/0a.png,DIR/0b.png,DIR/1a.png'),
      'even number',
    ),
  ],
)
def test_bad_measurement_is_one_line(
  particle_folder, tmp_path, options, message
):
  code, _, err = run(
    f'--frames={particle_folder / "0a.png"},{particle_folder / "0b.png"}',
    f'--out={tmp_path}',
    '--kind=particles',
    *(option.replace('DIR', str(particle_folder)) for option in options),
  )
  assert code == 2
  assert message in err
  assert len(err.strip().splitlines()) == 1
