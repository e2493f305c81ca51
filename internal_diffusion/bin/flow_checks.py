"""What `idiff-flow` refuses before any work: options that would do nothing."""

import dataclasses
import json
from typing import Any

from absl import flags

from internal_diffusion import options as options_lib
from internal_diffusion.applications.flow import FlowModel, FlowOptions
from internal_diffusion.applications.measurement import (
  Kind,
  MeasurementModel,
  MeasurementOptions,
)
from internal_diffusion.training import model_files

_MEASURED = ('min_window', 'max_window', 'num_pairs')
_FLOW = tuple(field.name for field in dataclasses.fields(FlowOptions))
# Options of an estimation, which may change once a model is learnt.
_ESTIMATED = (
  *('stereo', 'num_samples', 'seed', 'min_side', 'smoothing', 'num_warps'),
  *('smoothness', 'edge_contrast', 'likelihood_weight'),
)


def check_used(flag_values: flags.FlagValues, kind: Kind) -> None:
  """Raises ValueError for an option that frames of a kind do not use."""
  others: tuple[str, ...] = (*_FLOW, 'points')
  who = 'photographs'
  if kind == Kind.PHOTOGRAPH:
    others, who = _MEASURED, 'particles and speckle'
  for name in others:
    flag = flag_values[name]
    if name != 'seed' and flag.present and flag.value != flag.default:
      raise ValueError(
        f'`{name}` is for {who} only, and the frames are taken for {kind};'
        ' leave it out, or give another `kind`.'
      )


def check_saved(
  flag_values: flags.FlagValues,
  kind: Kind,
  options: FlowOptions | MeasurementOptions,
) -> None:
  """Checks a model that is saved already, if any.

  Raises:
    ValueError: If it is of another kind, or an option of learning is given that
      it was not learnt with.
  """
  workdir = flag_values.workdir
  if not workdir or not model_files.has_model(workdir):
    return
  names: tuple[str, ...]
  if kind == Kind.PHOTOGRAPH:
    model_files.load(workdir, FlowModel)
    names = tuple(name for name in _FLOW if name not in _ESTIMATED)
  else:
    model_files.load(workdir, MeasurementModel)
    names = (*_MEASURED, 'kind', 'seed')
  saved = model_files.load_options(workdir) or {}
  now: dict[str, Any] = json.loads(json.dumps(options_lib.to_dict(options)))
  for name in names:
    flag = flag_values[name]
    if name not in saved or not flag.present or flag.value == Kind.AUTO:
      continue
    if saved[name] != now[name]:
      raise ValueError(
        f'`{name}` is {now[name]}, but the model in `{workdir}` was learnt with'
        f' {saved[name]}; give that value or another `workdir`.'
      )
