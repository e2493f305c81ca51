"""Files of vectors."""

import csv

import numpy as np
import pytest
import scipy.io

from internal_diffusion.data import vector_io

FIELD = {
  'x': np.tile(np.arange(3.0), (2, 1)),
  'y': np.tile(np.arange(2.0)[:, None], (1, 3)),
  'u': np.array([[0.5, np.nan, 1], [2, 3, 4]]),
  'valid': np.array([[True, False, True], [True] * 3]),
}
UNITS = {'x': 'mm', 'y': 'mm', 'u': 'mm/s', 'valid': '1'}


def test_table(tmp_path):
  vector_io.write_table(tmp_path / 'a.csv', FIELD, units=UNITS)
  with open(tmp_path / 'a.csv') as file:
    rows = list(csv.DictReader(file))
  assert len(rows) == 6
  assert list(rows[0]) == ['x', 'y', 'u', 'valid', 'unit_x', 'unit_u']
  assert rows[1]['u'] == 'nan'
  assert rows[1]['valid'] == '0'
  assert float(rows[5]['u']) == 4
  assert rows[0]['unit_u'] == 'mm/s'


@pytest.mark.parametrize('num', [1, 2])
def test_netcdf(tmp_path, num):
  path = tmp_path / 'a.nc'
  vector_io.write_netcdf(path, [FIELD] * num, units=UNITS, title='pairs')
  with scipy.io.netcdf_file(path, 'r', mmap=False) as file:
    u = file.variables['u']
    assert u.dimensions == (('pair',) if num > 1 else ()) + ('y', 'x')
    assert u.units == b'mm/s'
    np.testing.assert_array_equal(
      np.reshape(u.data, (-1, 2, 3))[-1], FIELD['u']
    )
    np.testing.assert_array_equal(file.variables['x'].data, [0, 1, 2])
    assert file.title == b'pairs'


def test_netcdf_of_a_pair_is_read_back(tmp_path):
  vector_io.write_netcdf(tmp_path / 'a.nc', [FIELD], units=UNITS, title='pair')
  found = vector_io.read_netcdf(tmp_path / 'a.nc')
  assert set(found) == set(FIELD)
  for name, values in FIELD.items():
    assert found[name].dtype == values.dtype
    np.testing.assert_array_equal(found[name], values)


def test_no_pair_is_an_error(tmp_path):
  with pytest.raises(ValueError, match='fields'):
    vector_io.write_netcdf(tmp_path / 'a.nc', [], units={}, title='')
