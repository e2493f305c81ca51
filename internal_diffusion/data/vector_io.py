"""Files of vectors on a grid: CSV for people, NetCDF for programs.

A table has one line for each vector. Its first line names the columns; the last
columns name the units. NetCDF files are of version 3, which xarray opens, with
the coordinates y and x and, for several pairs, the dimension pair.
"""

import csv
import io
import os
from collections.abc import Mapping, Sequence

import numpy as np
import scipy.io

from internal_diffusion import files

_PathLike = str | os.PathLike[str]
_Field = Mapping[str, np.ndarray]


def write_table(
  path: _PathLike, field: _Field, *, units: Mapping[str, str]
) -> None:
  """Writes a table of vectors atomically.

  Args:
    path: Output path.
    field: Quantities by name, [m, n] each; booleans become 0 and 1.
    units: Unit of each quantity. Each unit of `x`, `u` and the derivatives
      fills a column of its own: unit_x, unit_u, unit_vorticity.
  """
  columns = {name: _cells(values) for name, values in field.items()}
  num = len(columns['x'])
  for name in ('x', 'u', 'vorticity'):
    if name in field:
      columns[f'unit_{name}'] = [units[name]] * num
  text = io.StringIO()
  writer = csv.writer(text, lineterminator='\n')
  writer.writerow(columns)
  writer.writerows(zip(*columns.values(), strict=True))
  files.write_atomically(path, text.getvalue().encode())


def write_netcdf(
  path: _PathLike,
  fields: Sequence[_Field],
  *,
  units: Mapping[str, str],
  title: str,
) -> None:
  """Writes vectors of one pair or of several on one grid atomically.

  Args:
    path: Output path.
    fields: Quantities by name, [m, n] each, for each pair; `x` and `y` are the
      coordinates.
    units: Unit of each quantity.
    title: Title in the file.

  Raises:
    ValueError: If there is no pair.
  """
  if not fields:
    raise ValueError('`fields` must hold one pair or more, got none.')
  several = len(fields) > 1
  stream = io.BytesIO()
  with scipy.io.netcdf_file(stream, 'w') as file:
    file.title = title
    lines = {'y': fields[0]['y'][:, 0], 'x': fields[0]['x'][0]}
    if several:
      file.createDimension('pair', len(fields))
    for name, line in lines.items():
      file.createDimension(name, len(line))
      _add(file, name, line.astype(np.float64), (name,), units)
    dimensions = ('pair', 'y', 'x') if several else ('y', 'x')
    for name in fields[0]:
      if name in lines:
        continue
      values = np.stack([field[name] for field in fields])
      _add(file, name, values if several else values[0], dimensions, units)
    file.flush()
    content = stream.getvalue()  # The stream is closed with the file.
  files.write_atomically(path, content)


def read_netcdf(path: _PathLike) -> dict[str, np.ndarray]:
  """Reads the vectors of one pair from a file of `write_netcdf`.

  Returns:
    Quantities by name, [m, n] each; `valid` is boolean.
  """
  with scipy.io.netcdf_file(path, 'r', mmap=False) as file:
    found = {
      name: np.array(variable[:]).astype(variable[:].dtype.newbyteorder('='))
      for name, variable in file.variables.items()
    }
  x, y = np.meshgrid(found.pop('x'), found.pop('y'))
  if 'valid' in found:
    found['valid'] = found['valid'].astype(bool)
  return {'x': x, 'y': y, **found}


def _add(
  file: scipy.io.netcdf_file,
  name: str,
  values: np.ndarray,
  dimensions: tuple[str, ...],
  units: Mapping[str, str],
) -> None:
  is_float = np.issubdtype(values.dtype, np.floating)
  kind = np.dtype('f8' if is_float else 'i4')
  variable = file.createVariable(name, kind, dimensions)
  variable[:] = values.astype(kind)
  variable.units = units.get(name, '1')


def _cells(values: np.ndarray) -> list[str]:
  flat = np.asarray(values).ravel()
  if flat.dtype == bool or np.issubdtype(flat.dtype, np.integer):
    return [str(int(value)) for value in flat]
  return [f'{value:.6g}' for value in flat]
