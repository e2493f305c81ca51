"""Displacement on a checkerboard: ambiguous in two, one or no dimensions.

Squares of 10x10 pixels, patches of 7x7, displacements of up to three pixels.
Two dark patches may lie to each other in any way, two that see a vertical edge
slide along it, two that see a corner are fixed. The exact posterior counts, of
all pairs of the image with just these two patches, those of each displacement.

One joint model answers the same query, and that for the target given source and
delta, beside the models trained for one query each.
"""

import functools
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from internal_diffusion import figures
from internal_diffusion.applications.patches import (
  Distributions,
  PatchOptions,
  delta_given_pair_options,
  joint_options,
  sample_vectors,
  target_given_source_options,
)
from internal_diffusion.data import distributions, patches, synthetic, triplets
from internal_diffusion.denoisers.learned import LearnedDenoiser
from internal_diffusion.experiments.frequencies import (
  draw_bars,
  nearest_frequencies,
  total_variation,
)
from internal_diffusion.experiments.result import Measure, Result
from internal_diffusion.experiments.training import all_triplets, scaled, train
from internal_diffusion.options import replace
from internal_diffusion.types import PatchTriplet

_NUM_STEPS_DELTA = 4000
_NUM_STEPS_TARGET = 3500
_NUM_STEPS_JOINT = 9000
_NUM_SAMPLES = 20_000
_NUM_SHOWN = 10  # Targets in the picture.
_RANGE = (-3, 3)
# `ask_fn(key, **given) -> draws`: parts of triplets by name.
_AskFn = Callable[..., dict[str, jax.Array]]
# Source [D], target [D] and displacement [2] of each pair by name.
_Queries = dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]
# Distributions and draws of each pair by name.
_Found = dict[str, dict[str, np.ndarray]]
# Row and column of source and target, from the top left of the image.
_PAIRS = {
  'two dark patches': ((1, 2), (2, 1)),
  'a vertical edge': ((1, 6), (2, 5)),
  'a corner': ((6, 6), (5, 4)),
}


def run(seed: int, *, effort: float = 1.0, progress: bool = False) -> Result:
  """Trains the two conditional models and the joint, and queries them."""
  image = synthetic.checkerboard()
  num = scaled(_NUM_SAMPLES, effort, at_least=256)
  ask_fns = []
  for preset, num_steps in (
    (delta_given_pair_options(), _NUM_STEPS_DELTA),
    (target_given_source_options(), _NUM_STEPS_TARGET),
    (joint_options(), _NUM_STEPS_JOINT),
  ):
    options = _adapted(preset, seed, scaled(num_steps, effort))
    model, examples = train([image], options, progress=progress)
    ask_fns.append(functools.partial(_ask, model, options, num))
  everything = all_triplets(examples, options)
  key = jax.random.key(seed)
  queries = _queries(image, options.patch_size)
  delta_fn, target_fn, joint_fn = ask_fns
  by_delta = _compare_deltas(
    key, {'model': delta_fn, 'joint': joint_fn}, everything, queries
  )
  key = jax.random.fold_in(key, 1)
  by_target = _compare_targets(
    key, {'model': target_fn, 'joint': joint_fn}, everything, queries
  )
  return Result(
    measures={
      **_measures(by_delta, 'posterior', 'model of delta', at_most=0.06),
      **_measures(by_target, 'targets', 'model of target', at_most=None),
    },
    samples={
      **_flat('delta', by_delta),
      **_flat('target', by_target),
      'image': image,
    },
    pictures={
      'deltas': (
        functools.partial(_delta_picture, by_delta, queries),
        'Displacement given two patches: the exact posterior, the model of'
        ' p(delta | source, target), and the joint model asked the same.',
      ),
      'targets': (
        functools.partial(_target_picture, by_target),
        'Target given source and displacement: the exact distribution, the'
        ' model of p(target | source, delta), and the joint model.',
      ),
    },
  )


def _adapted(preset: PatchOptions, seed: int, num_steps: int) -> PatchOptions:
  """A preset's options for the checkerboard."""
  options = replace(
    preset,
    seed=seed,
    num_steps=num_steps,
    triplet={'vertical': _RANGE, 'horizontal': _RANGE, 'level_steps': (0,)},
    condition={'sigma_aug': 0.0, 'dropout': 0.0},
    batch_size=384,
    num_references=384,
    optimizer={'learning_rate': 5e-3},
    sampling={'num_steps': 18},
  )
  if options.distribution == Distributions.DELTA_GIVEN_PAIR:
    return options
  # A patch is far longer than a delta, so more noise is needed to hide it.
  return replace(options, noise={'sigma_min': 0.03, 'sigma_max': 40.0})


def _queries(image: np.ndarray, patch_size: int) -> _Queries:
  dense = np.asarray(
    patches.extract_patches(jnp.asarray(image), patch_size=patch_size)
  )
  return {
    name: (dense[source], dense[target], np.subtract(target, source))
    for name, (source, target) in _PAIRS.items()
  }


def _histogram(displacement: np.ndarray) -> np.ndarray:
  """Frequencies of displacements [N, 2] on the grid, [7, 7]."""
  low, high = _RANGE
  edges = np.arange(low, high + 2) - 0.5
  counts, _ = np.histogramdd(displacement, bins=(edges, edges))
  return counts / len(displacement)


def _tv(p: np.ndarray, q: np.ndarray) -> float:
  """Total variation of histograms whose missing mass lies elsewhere."""
  return total_variation(p, q) + abs(p.sum() - q.sum()) / 2


def _displacement(delta: jax.Array) -> np.ndarray:
  return np.asarray(
    triplets.displacement_of(delta, displacement_range=(_RANGE, _RANGE))
  )


def _ask(
  model: LearnedDenoiser,
  options: PatchOptions,
  num: int,
  key: jax.Array,
  **given: np.ndarray,
) -> dict[str, jax.Array]:
  """Draws `num` answers of a model to one query."""
  rows = {name: jnp.tile(value, (num, 1)) for name, value in given.items()}
  cond = distributions.make_condition(model.layout, **rows)
  drawn = sample_vectors(key, model, options, cond)
  return distributions.split(drawn, model.layout.x0)


def _compare_deltas(
  key: jax.Array,
  ask_fns: Mapping[str, _AskFn],
  everything: PatchTriplet,
  queries: _Queries,
) -> _Found:
  """For each pair: exact posterior, draws of both models, their histograms."""
  found = {}
  for name, (source, target, _) in queries.items():
    fits = (everything.source == source[None]).all(axis=-1)
    fits &= (everything.target == target[None]).all(axis=-1)
    exact = _histogram(_displacement(everything.delta[fits]))
    found[name] = {'exact': exact}
    for kind, ask_fn in ask_fns.items():
      drawn = ask_fn(key, source=source, target=target)['delta']
      displacement = _displacement(drawn)
      found[name][f'{kind}_draws'] = displacement
      found[name][kind] = _histogram(displacement)
  return found


def _compare_targets(
  key: jax.Array,
  ask_fns: Mapping[str, _AskFn],
  everything: PatchTriplet,
  queries: _Queries,
) -> _Found:
  """For each source and displacement: the targets, how often, how often drawn.

  A draw belongs to the nearest of all targets of the image.
  """
  every = np.unique(np.asarray(everything.target), axis=0)
  found = {}
  for name, (source, _, displacement) in queries.items():
    delta = np.asarray(
      triplets.to_delta(
        jnp.asarray(displacement, jnp.float32)[None],
        jnp.zeros(1),
        displacement_range=(_RANGE, _RANGE),
      )
    )[0]
    fits = (everything.source == source[None]).all(axis=-1)
    fits &= (abs(everything.delta - delta[None]) < 1e-5).all(axis=-1)
    exact = nearest_frequencies(np.asarray(everything.target[fits]), every)
    found[name] = {'patches': every, 'exact': exact}
    for kind, ask_fn in ask_fns.items():
      drawn = ask_fn(key, source=source, delta=delta)['target']
      found[name][kind] = nearest_frequencies(np.asarray(drawn), every)
  return found


def _measures(
  found: _Found, exact: str, dedicated: str, *, at_most: float | None
) -> dict[str, Measure]:
  """Total variations between the exact answer, the model and the joint."""
  bounds = {
    ('model', 'exact'): (f'model to exact {exact}', at_most),
    ('joint', 'model'): (f'joint to {dedicated}', 0.05),
    ('joint', 'exact'): (f'joint to exact {exact}', None),
  }
  return {
    f'{name}: {label}, total variation': Measure(
      _tv(answers[first], answers[second]), at_most=bound
    )
    for (first, second), (label, bound) in bounds.items()
    for name, answers in found.items()
  }


def _flat(prefix: str, by_name: _Found) -> dict[str, np.ndarray]:
  return {
    f'{prefix}_{name.replace(" ", "_")}_{kind}': values
    for name, found in by_name.items()
    for kind, values in found.items()
  }


@figures.own_style
def _delta_picture(by_delta: _Found, queries: _Queries) -> figures.Figure:
  figure = figures.new_figure(
    11, 7.4, title='p(delta | source, target) on a checkerboard'
  )
  axes = figure.subplots(
    len(by_delta), 5, width_ratios=(0.6, 0.6, 1, 1, 1), squeeze=False
  )
  low, high = _RANGE
  for row, (name, found) in zip(axes, by_delta.items(), strict=True):
    source, target, _ = queries[name]
    side = round(len(source) ** 0.5)
    for ax, patch, title in (
      (row[0], source, 'source'),
      (row[1], target, 'target'),
    ):
      ax.imshow(patch.reshape(side, side), cmap='gray', vmin=-1, vmax=1)
      ax.set(title=title, xticks=[], yticks=[])
    row[0].set_ylabel(name)
    for ax, kind in zip(row[2:], ('exact', 'model', 'joint'), strict=True):
      title = kind
      shown = ax.imshow(
        found[kind],
        extent=(low - 0.5, high + 0.5, high + 0.5, low - 0.5),
        vmin=0,
        vmax=found['exact'].max(),
      )
      if kind != 'exact':
        title += f', TV {_tv(found[kind], found["exact"]):.3f}'
      ax.set(title=title, xlabel='dx, pixels', ylabel='dy, pixels')
    figure.colorbar(shown, ax=row[2:], label='probability')
  return figure


@figures.own_style
def _target_picture(by_target: _Found) -> figures.Figure:
  figure = figures.new_figure(
    11, 7.4, title='p(target | source, delta) on a checkerboard'
  )
  for ax, (name, found) in zip(
    np.ravel(figure.subplots(len(by_target), 1)), by_target.items(), strict=True
  ):
    likely = np.maximum(found['exact'], found['joint'])
    order = np.argsort(-likely, kind='stable')[:_NUM_SHOWN]
    draw_bars(ax, {k: found[k][order] for k in ('exact', 'model', 'joint')})
    ax.set(title=name, xlabel='target, most probable first')
  return figure
