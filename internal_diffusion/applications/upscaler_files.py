"""What an upscaler has learnt, as a file: to be used again on another image."""

import json
import os
import pathlib
import zipfile
from collections.abc import Mapping

import jax.numpy as jnp
import ml_collections
import numpy as np
from flax import traverse_util

from internal_diffusion import files
from internal_diffusion.applications.upscaler import RestModel, Upscaler
from internal_diffusion.applications.upscaler_examples import block_layout
from internal_diffusion.data.principal_basis import PrincipalBasis
from internal_diffusion.data.upscaling_pairs import SourceEncoding
from internal_diffusion.denoisers import learned
from internal_diffusion.denoisers.learned import LearnedParams
from internal_diffusion.training import model as model_lib
from internal_diffusion.training.deviation import DeviationMLP
from internal_diffusion.training.regression import RegressionMLP

_NAME = 'model.npz'
_MEAN, _DEVIATION, _REST = 'mean/', 'deviation/', 'rest/'


def save_upscaler(
  directory: pathlib.Path,
  upscaler: Upscaler,
  config: ml_collections.ConfigDict,
) -> None:
  """Writes model.npz into a folder.

  Args:
    directory: The folder.
    upscaler: What was learnt.
    config: What it was trained with.
  """
  arrays = {
    'config': np.array(config.to_json()),
    'factor': np.array(upscaler.factor),
    **_prefixed('encoding/', upscaler.encoding._asdict()),
    **_flat(_MEAN, upscaler.params),
  }
  if upscaler.kernel is not None:
    arrays['kernel'] = upscaler.kernel
  if upscaler.rest is not None:
    params = upscaler.rest.params
    assert params.cond_basis is not None
    arrays |= _flat(_DEVIATION, upscaler.rest.deviation_params)
    arrays |= _flat(_REST, params.network)
    arrays |= _prefixed('basis/', params.basis._asdict())
    arrays |= _prefixed('cond_basis/', params.cond_basis._asdict())
  files.write_npz(directory / _NAME, arrays)


def load_upscaler(directory: str | os.PathLike) -> Upscaler:
  """Reads what `save_upscaler` wrote.

  Raises:
    FileNotFoundError: If there is no model.npz in the folder.
    ValueError: If it is another file.
  """
  path = pathlib.Path(directory) / _NAME
  if not path.exists():
    raise FileNotFoundError(
      f'There is no {_NAME} in `{directory}`; --workdir is the --out of an'
      ' earlier run.'
    )
  try:
    with np.load(path) as found:
      arrays = dict(found)
    config = ml_collections.ConfigDict(json.loads(str(arrays['config'])))
    return _upscaler(arrays, config)
  except (KeyError, ValueError, zipfile.BadZipFile) as error:
    raise ValueError(f'`{path}` is not a model of idiff-upscale.') from error


def _upscaler(
  arrays: dict[str, np.ndarray], config: ml_collections.ConfigDict
) -> Upscaler:
  encoding = SourceEncoding(**_part(arrays, 'encoding/'))
  return Upscaler(
    factor=int(arrays['factor']),
    source_size=config.source_size,
    reach=config.reach,
    encoding=encoding,
    network=RegressionMLP(
      encoding.linear.shape[-1],
      config.mean.network.width,
      config.mean.network.depth,
    ),
    params=_nested(arrays, _MEAN),
    rest=_rest(arrays, config, encoding),
    kernel=arrays.get('kernel'),
  )


def _rest(
  arrays: dict[str, np.ndarray],
  config: ml_collections.ConfigDict,
  encoding: SourceEncoding,
) -> RestModel | None:
  if not any(name.startswith(_REST) for name in arrays):
    return None
  layout = block_layout(encoding)
  network = model_lib.make_network(config.rest, layout)
  denoise_fn = model_lib.make_denoise_fn(network, layout, config.rest)
  return RestModel(
    DeviationMLP(
      encoding.linear.shape[-1],
      config.deviation.network.width,
      config.deviation.network.depth,
    ),
    _nested(arrays, _DEVIATION),
    learned.to_pixel_space(denoise_fn),
    LearnedParams(
      _nested(arrays, _REST),
      PrincipalBasis(**_part(arrays, 'basis/')),
      PrincipalBasis(**_part(arrays, 'cond_basis/')),
    ),
  )


def _prefixed(prefix: str, arrays: Mapping) -> dict[str, np.ndarray]:
  return {prefix + name: np.asarray(value) for name, value in arrays.items()}


def _flat(prefix: str, params: Mapping) -> dict[str, np.ndarray]:
  return _prefixed(prefix, traverse_util.flatten_dict(dict(params), sep='/'))


def _part(arrays: dict[str, np.ndarray], prefix: str) -> dict:
  return {
    name.removeprefix(prefix): jnp.asarray(value)
    for name, value in arrays.items()
    if name.startswith(prefix)
  }


def _nested(arrays: dict[str, np.ndarray], prefix: str) -> dict:
  return traverse_util.unflatten_dict(_part(arrays, prefix), sep='/')
