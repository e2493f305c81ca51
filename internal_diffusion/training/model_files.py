"""One save and one load for every model.

A model is a frozen pytree of dataclasses, NamedTuples, dicts and tuples. Its
structure goes into model.json, its arrays beside it:

  FOLDER/model/model.json    kind, version, options, structure, checksum
  FOLDER/model/arrays/       the arrays, by orbax

A folder's model appears whole or not at all. The structure names the library's
own classes, and nothing else is imported or run when a model is loaded.
"""

import contextlib
import dataclasses
import enum
import importlib
import json
import os
import pathlib
import secrets
import shutil
from collections.abc import Mapping
from typing import Any, TypeVar, overload

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion import files
from internal_diffusion import options as options_lib
from internal_diffusion.jax_settings import with_own_settings
from internal_diffusion.training import checkpoint, processes

VERSION = 1  # Of the format; raised when older folders can no longer be read.
MODEL_DIR = 'model'
_DESCRIPTION, _ARRAYS = 'model.json', 'arrays'
_PACKAGE = __name__.partition('.')[0]
_Model = TypeVar('_Model')


@with_own_settings
def save(
  folder: str | os.PathLike, model: Any, *, options: Any = None
) -> pathlib.Path:
  """Saves a model into FOLDER/model, whole or not at all, and returns that.

  A model that the folder holds is replaced. Of several processes of a run all
  call this, and the first writes.

  Args:
    folder: The folder; made if it does not exist.
    model: Any model of the library.
    options: Dataclass of the options it was trained with, kept for reading.

  Raises:
    ValueError: If the model holds a function, a class of another package, or
      another value without a form.
    OSError: If the folder cannot be written.
  """
  target = _model_dir(folder)
  arrays: dict[str, np.ndarray] = {}
  description = {
    'kind': type(model).__name__,
    'version': VERSION,
    'options': None if options is None else options_lib.to_dict(options),
    'structure': _encode(model, arrays),
    'crc32': checkpoint.checksum(arrays),
  }
  target.parent.mkdir(parents=True, exist_ok=True)
  token = np.frombuffer(secrets.token_bytes(8), np.uint8)
  token = np.asarray(processes.from_first(token), np.uint8)
  temporary = target.with_name(f'.{token.tobytes().hex()}.tmp')
  files.remove_abandoned(target.parent)
  with contextlib.ExitStack() as stack:
    temporary.mkdir(exist_ok=processes.are_several())
    if processes.is_first():
      stack.enter_context(files.in_use(temporary))
      stack.callback(shutil.rmtree, temporary, ignore_errors=True)
    if arrays:
      checkpoint.write_arrays(temporary / _ARRAYS, arrays)
    if processes.is_first():
      text = json.dumps(description, indent=1)
      (temporary / _DESCRIPTION).write_text(text)
      _replace_folder(temporary, target)
    processes.wait_for_all()
  return target


def _replace_folder(source: pathlib.Path, target: pathlib.Path) -> None:
  """Renames a folder to one that may exist, which comes back on an error."""
  if not target.exists():
    os.replace(source, target)
    return
  old = files.temporary_beside(target)
  with files.in_use(target):
    os.replace(target, old)
    try:
      os.replace(source, target)
    except OSError:
      os.replace(old, target)
      raise
    shutil.rmtree(old, ignore_errors=True)


def _model_dir(folder: str | os.PathLike) -> pathlib.Path:
  return pathlib.Path(folder).expanduser().absolute() / MODEL_DIR


def has_model(folder: str | os.PathLike) -> bool:
  """Whether a folder holds a saved model."""
  return (_model_dir(folder) / _DESCRIPTION).is_file()


@overload
def load(folder: str | os.PathLike) -> Any: ...
@overload
def load(folder: str | os.PathLike, kind: type[_Model]) -> _Model: ...


@with_own_settings
def load(folder: str | os.PathLike, kind: type | None = None) -> Any:
  """Loads the model of a folder.

  Args:
    folder: The folder that `save` was given.
    kind: Class that the model must have; None is any.

  Raises:
    ValueError: If the folder holds no model, one of another kind or of another
      version of the library, or a damaged one.
  """
  description = _read_description(folder)
  found = description['kind']
  if kind is not None and found != kind.__name__:
    raise ValueError(
      f'`{folder}` holds a model of another kind, {found}; {kind.__name__} is'
      ' needed.'
    )
  if description['version'] != VERSION:
    raise ValueError(
      f'The model in `{folder}` has version {description["version"]} of the'
      f' format, this library reads {VERSION}; train it again.'
    )
  try:
    shapes = _array_shapes(description['structure'])
    arrays = checkpoint.read_arrays(_model_dir(folder) / _ARRAYS, shapes)
    if checkpoint.checksum(arrays) != description['crc32']:
      raise ValueError('its values do not match their checksum')
    return _decode(description['structure'], arrays)
  except Exception as error:  # Orbax raises many kinds for a damaged file.
    raise ValueError(
      f'The model in `{folder}` is damaged ({error}); train it again in an'
      ' empty folder.'
    ) from error


def load_options(folder: str | os.PathLike) -> dict[str, Any] | None:
  """The options that the model of a folder was trained with, as a dict."""
  return _read_description(folder)['options']


def _read_description(folder: str | os.PathLike) -> dict[str, Any]:
  if not has_model(folder):
    raise ValueError(f'`{folder}` holds no trained model.')
  path = _model_dir(folder) / _DESCRIPTION
  try:
    description = json.loads(path.read_text())
    for name in ('kind', 'version', 'structure', 'crc32', 'options'):
      description[name]
  except (ValueError, KeyError, TypeError) as error:
    raise ValueError(f'{path} is damaged; train the model again.') from error
  return description


def _encode(value: Any, arrays: dict[str, np.ndarray]) -> Any:
  """A value as JSON; its arrays are added to `arrays`."""
  if isinstance(value, enum.Enum):
    return {'class': _class_name(value), 'value': value.value}
  if value is None or isinstance(value, bool | int | str):
    return value
  if isinstance(value, float):
    return {'float': repr(value)}  # JSON has no infinity.
  if isinstance(value, np.ndarray | np.generic | jax.Array):
    return _encode_array(value, arrays)
  if isinstance(value, Mapping) and all(isinstance(k, str) for k in value):
    return {'dict': {k: _encode(v, arrays) for k, v in value.items()}}
  if isinstance(value, tuple) and hasattr(value, '_fields'):
    fields = {n: getattr(value, n) for n in value._fields}
    return _encode_fields(value, fields, arrays)
  if isinstance(value, tuple | list):
    kind = 'tuple' if isinstance(value, tuple) else 'list'
    return {kind: [_encode(item, arrays) for item in value]}
  if dataclasses.is_dataclass(value):
    names = [f.name for f in dataclasses.fields(value) if f.init]
    if isinstance(value, nn.Module):
      names = [name for name in names if name not in ('parent', 'name')]
    fields = {name: getattr(value, name) for name in names}
    return _encode_fields(value, fields, arrays)
  raise ValueError(f'A model cannot hold {value!r}.')


def _encode_array(value: Any, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
  # What JAX makes of it: float64 becomes float32.
  array = np.asarray(value, jax.dtypes.canonicalize_dtype(value.dtype))
  form = {'shape': array.shape, 'dtype': str(array.dtype)}
  if not array.size:  # Orbax refuses it.
    return {'empty': form}
  name = f'{len(arrays):04d}'
  arrays[name] = array
  return {'array': name, **form}


def _encode_fields(
  value: Any, fields: Mapping[str, Any], arrays: dict[str, np.ndarray]
) -> dict[str, Any]:
  return {
    'class': _class_name(value),
    'fields': {n: _encode(v, arrays) for n, v in fields.items()},
  }


def _class_name(value: Any) -> str:
  name = f'{type(value).__module__}:{type(value).__qualname__}'
  _find_class(name)  # Or it could not be loaded.
  return name


def _array_shapes(encoded: Any) -> dict[str, jax.ShapeDtypeStruct]:
  """Shapes and types of all arrays of a structure, by name."""
  if isinstance(encoded, dict) and isinstance(encoded.get('array'), str):
    shape = jax.ShapeDtypeStruct(encoded['shape'], encoded['dtype'])
    return {encoded['array']: shape}
  if isinstance(encoded, dict):
    encoded = list(encoded.values())
  parts = encoded if isinstance(encoded, list) else ()
  return {k: v for part in parts for k, v in _array_shapes(part).items()}


def _decode(encoded: Any, arrays: Mapping[str, Any]) -> Any:
  if not isinstance(encoded, dict):
    return encoded
  if 'float' in encoded:
    return float(encoded['float'])
  if isinstance(encoded.get('array'), str):
    return arrays[encoded['array']]
  if 'dict' in encoded:
    return {k: _decode(v, arrays) for k, v in encoded['dict'].items()}
  if 'empty' in encoded:
    return jnp.zeros(encoded['empty']['shape'], encoded['empty']['dtype'])
  if 'list' in encoded:
    return [_decode(item, arrays) for item in encoded['list']]
  if 'tuple' in encoded:
    return tuple(_decode(item, arrays) for item in encoded['tuple'])
  kind = _find_class(encoded['class'])
  if 'value' in encoded:
    return kind(encoded['value'])
  return kind(**{k: _decode(v, arrays) for k, v in encoded['fields'].items()})


def _find_class(name: str) -> Any:
  module, _, qualname = name.partition(':')
  if module.partition('.')[0] != _PACKAGE:
    raise ValueError(f'{name} is no class of the library')
  kind = getattr(importlib.import_module(module), qualname, None)
  is_value = isinstance(kind, type) and (
    dataclasses.is_dataclass(kind) or issubclass(kind, tuple | enum.Enum)
  )
  if not is_value:
    raise ValueError(f'{name} is no class of this version of the library')
  return kind
