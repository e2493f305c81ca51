"""Learning a model of patches: in memory, in a folder, of bad input."""

import chex
import numpy as np
import pytest

from internal_diffusion import load
from internal_diffusion.applications import patches
from internal_diffusion.compilation import measure_compilation
from internal_diffusion.denoisers.parametrization import Parametrization
from internal_diffusion.options import replace
from internal_diffusion.training import metrics, model_files
from internal_diffusion.training.denoising import fit_denoiser


def test_a_second_image_of_the_same_size_compiles_nothing(image, options):
  # The fixture may be of another file, whose compiled functions are gone.
  model = patches.learn_patches(image, options)
  with measure_compilation() as meter:
    other = patches.learn_patches(image[:, ::-1].copy(), options)
  assert meter.count == 0
  leaves = (
    np.asarray(model.denoiser.basis.components),
    np.asarray(other.denoiser.basis.components),
  )
  assert (leaves[0] != leaves[1]).any()


def test_in_a_folder_it_is_the_same_model_and_comes_back(
  image, options, model, tmp_path
):
  learnt = patches.learn_patches(image, options, workdir=tmp_path)
  chex.assert_trees_all_equal(learnt, model)
  chex.assert_trees_all_equal(load(tmp_path), learnt)
  assert load(tmp_path).options == options
  saved = model_files.load_options(tmp_path)
  assert replace(patches.PatchOptions(), **saved) == options
  # It is trained: nothing is trained again, and the result is the same.
  again = patches.learn_patches(image, options, workdir=tmp_path)
  chex.assert_trees_all_equal(again, learnt)
  assert [x['step'] for x in metrics.read_metrics(tmp_path)] == [3, 6]


def test_a_model_knows_its_image(model):
  assert model.image_shape == (32, 48, 3)
  assert model.level_sizes[0] == (32, 48)
  assert min(model.level_sizes[-1]) >= 12


def test_a_folder_of_another_image_or_other_options_is_refused(
  image, options, tmp_path
):
  patches.learn_patches(image, options, workdir=tmp_path)
  with pytest.raises(ValueError, match='the image itself'):
    patches.learn_patches(image[::-1], options, workdir=tmp_path)
  other = replace(options, network={'width': 24})
  with pytest.raises(ValueError, match=r'network\.width: 16 there, 24 here'):
    patches.learn_patches(image, other, workdir=tmp_path)


@pytest.mark.long
def test_learns(image, options):
  losses = []
  options = replace(
    options,
    network={'width': 64},
    batch_size=256,
    num_references=256,
    num_steps=200,
    steps_per_call=20,
  )
  examples = patches.examples.image_examples(image, options)
  first = fit_denoiser(examples, replace(options, num_steps=20))
  last = fit_denoiser(examples, options)
  losses = first.loss, last.loss
  # 1 is the loss of the Wiener filter, on single patches as targets.
  assert losses[0] < 1
  assert losses[1] < 0.92 * losses[0]


@pytest.mark.long
@pytest.mark.parametrize(
  'parametrization', [p for p in Parametrization if p != 'wiener']
)
def test_other_parametrizations_learn(image, options, parametrization):
  options = replace(
    options, parametrization=parametrization, steps_per_call=25, num_steps=150
  )
  examples = patches.examples.image_examples(image, options)
  first = fit_denoiser(examples, replace(options, num_steps=25))
  assert fit_denoiser(examples, options).loss < first.loss


@pytest.mark.parametrize(
  ('make', 'message'),
  [
    (lambda image: image * 0 + 0.5, 'constant'),
    (lambda image: image * np.nan, 'finite'),
    (lambda image: image[..., 0], r'\[H, W, C\]'),
    (lambda image: (127 * image).astype(np.uint8), 'uint8'),
    (lambda image: image[:4], 'smallest side'),
  ],
)
def test_bad_images_are_refused_before_anything_is_written(
  image, options, tmp_path, make, message
):
  with pytest.raises(ValueError, match=message):
    patches.learn_patches(make(image), options, workdir=tmp_path / 'run')
  assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize(
  ('changes', 'message'),
  [
    ({'patch_size': 15}, 'coarsest level'),
    ({'patch_size': 35}, 'larger than the smallest side'),
    ({'num_devices': 99}, 'num_devices'),
    ({'triplet': {'level_steps': (9,)}}, 'level_steps'),
    ({'triplet': {'horizontal': (-99, 99)}}, 'horizontal'),
  ],
)
def test_options_that_do_not_fit_the_image_are_refused(
  image, options, tmp_path, changes, message
):
  with pytest.raises(ValueError, match=message):
    patches.learn_patches(
      image, replace(options, **changes), workdir=tmp_path / 'run'
    )
  assert not (tmp_path / 'run').exists()
