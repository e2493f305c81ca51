"""Learning an upscaler: folders, interruptions, compilation, options."""

import signal

import jax
import numpy as np
import pytest

from internal_diffusion.applications.super_resolution import (
  BlockDenoiser,
  Preset,
  UpscaleOptions,
  learn_upscaler,
  training,
  upscale,
)
from internal_diffusion.compilation import measure_compilation
from internal_diffusion.data.downscaling import make_downscaling
from internal_diffusion.evaluation.fidelity import psnr
from internal_diffusion.training import fit as fit_lib
from internal_diffusion.training.run_folder import OtherSettingsError
from tests.applications.super_resolution import small

KEY = jax.random.key(0)
TINY = {'num_steps': 100, 'batch_size': 16}


def assert_equal(first, second):
  assert jax.tree.structure(first) == jax.tree.structure(second)
  pairs = zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True)
  for a, b in pairs:
    np.testing.assert_array_equal(a, b)


@pytest.fixture(scope='module')
def options():
  return small.options(**TINY, num_rounds=3)


@pytest.fixture(scope='module')
def learnt(image, options):
  return learn_upscaler(image, options)


def test_a_second_image_of_the_size_compiles_nothing(image, options, learnt):
  upscale(KEY, learnt, image, factor=3, num_samples=1, num_steps=2)
  other, key = image[::-1].copy(), jax.random.key(1)
  with measure_compilation() as meter:
    upscaler = learn_upscaler(other, options)
    upscale(key, upscaler, other, factor=3, num_samples=1, num_steps=2)
  assert meter.count == 0


def test_a_saved_model_is_used_and_upscales_alike(
  image, options, learnt, tmp_path, monkeypatch
):
  saved = learn_upscaler(image, options, workdir=tmp_path)
  assert_equal(saved, learnt)  # With a folder or without.
  monkeypatch.setattr(training, 'fit', None)  # Nothing is trained.
  loaded = learn_upscaler(image, options, workdir=tmp_path)
  before, after = (
    upscale(KEY, upscaler, image, factor=2, num_samples=1, num_steps=2)
    for upscaler in (saved, loaded)
  )
  assert_equal(before, after)


@pytest.mark.parametrize('loss', ['AbsoluteError', 'LaplaceLoss'])
def test_an_interrupted_training_continues_as_if_unbroken(
  image, options, learnt, tmp_path, monkeypatch, loss
):
  run_steps = fit_lib.parallel.run_steps

  def interrupt(state, data, step, **options):
    # In the middle of a run, as Ctrl-C does.
    if type(step.loss).__name__ == loss:
      signal.raise_signal(signal.SIGINT)
    return run_steps(state, data, step, **options)

  with monkeypatch.context() as patch:
    patch.setattr(fit_lib.parallel, 'run_steps', interrupt)
    with pytest.raises(KeyboardInterrupt, match='same command'):
      learn_upscaler(image, options, workdir=tmp_path)
  resumed = learn_upscaler(image, options, workdir=tmp_path)
  assert_equal(resumed, learnt)


def test_a_mean_gets_samples_from_the_same_folder(
  image, options, learnt, tmp_path
):
  mean_only = small.options(**TINY, num_rounds=3, mean_only=True)
  mean = learn_upscaler(image, mean_only, workdir=tmp_path)
  assert mean.is_mean_only
  whole = learn_upscaler(image, options, workdir=tmp_path)
  assert_equal(whole, learnt)


def test_another_image_in_the_folder_of_a_mean_is_refused(image, tmp_path):
  options = small.options(**TINY)
  mean_only = small.options(**TINY, mean_only=True)
  learn_upscaler(image, mean_only, workdir=tmp_path)
  with pytest.raises(OtherSettingsError, match='the image itself'):
    learn_upscaler(image[::-1].copy(), options, workdir=tmp_path)


def test_a_persons_jax_settings_change_nothing(image, options, learnt):
  with (
    jax.enable_x64(True),
    jax.debug_nans(True),
    jax.numpy_dtype_promotion('strict'),
    jax.numpy_rank_promotion('raise'),
  ):
    upscaler = learn_upscaler(image, options)
    found = upscale(KEY, upscaler, image, factor=2, num_samples=1, num_steps=2)
  assert_equal(upscaler, learnt)
  expected = upscale(KEY, learnt, image, factor=2, num_samples=1, num_steps=2)
  assert_equal(found, expected)


def test_the_seed_determines_the_model(image, learnt):
  other = learn_upscaler(image, small.options(**TINY, num_rounds=3, seed=1))
  leaves = (
    jax.tree.leaves(learnt.blocks.mean),
    jax.tree.leaves(other.blocks.mean),
  )
  assert any(np.any(a != b) for a, b in zip(*leaves, strict=True))


@pytest.mark.long
def test_rounds_learn_from_the_upscaled_image_too(image, truth):
  def learned(num_rounds):
    options = small.options(num_rounds=num_rounds, mean_only=True)
    return learn_upscaler(image, options)

  downscaling = make_downscaling((24, 24), (96, 96))
  low = np.asarray(downscaling.apply(truth))
  first, second = (
    upscale(KEY, learned(num), low, factor=4).mean for num in (1, 2)
  )
  assert np.sqrt(np.mean((first - second) ** 2)) > 1e-3
  bicubic = np.asarray(downscaling.interpolate(low)).clip(-1, 1)
  assert psnr(second, truth) > psnr(bicubic, truth)


def test_wrong_images_and_kernels_are_refused(image):
  def refused(match, image=image, **arguments):
    with pytest.raises(ValueError, match=match):
      learn_upscaler(image, small.options(factor=2.5), **arguments)

  refused(r'`factor` must be a whole number.*2\.5', kernel=np.ones((3, 3)) / 9)
  refused('constant', image=np.zeros((40, 40, 1), np.float32))
  refused('12x12.*24x24', image=image[:12, :12])
  refused('`image`.*finite', image=np.full((32, 32, 1), np.nan, np.float32))


# Options.


@pytest.mark.parametrize(
  ('preset', 'minutes', 'expected'),
  [
    (Preset.FAST, None, (0.12, 0.06)),
    (Preset.DEFAULT, None, (1.2, 0.25)),
    (Preset.DEFAULT, 2.9, (2.4, 0.5)),
    (Preset.BEST, None, (4.6, 0.4)),
  ],
)
def test_minutes_are_divided_among_the_networks(preset, minutes, expected):
  options = UpscaleOptions(preset=preset, minutes=minutes)
  runs = (
    options.mean_training,
    options.scale_training,
  )
  np.testing.assert_allclose([run.max_minutes for run in runs], expected)
  assert [run.num_steps for run in runs] == [0, 0]


def test_rounds_follow_from_preset_and_factor():
  assert UpscaleOptions(factor=3).mean_rounds == 30
  assert UpscaleOptions(factor=2).mean_rounds == 10
  assert UpscaleOptions(preset=Preset.FAST).mean_rounds == 1
  assert UpscaleOptions(num_rounds=7).mean_rounds == 7


@pytest.mark.parametrize(
  ('name', 'value'),
  [
    ('factor', 9),
    ('minutes', -1),
    ('num_samples', 1),
    ('source_size', 4),
    ('reach', -1),
    ('num_steps', 0),
    ('sigma_aug', 0),
    ('batch_size', 0),
    ('num_components', 0),
  ],
)
def test_wrong_options_are_refused(name, value):
  with pytest.raises(ValueError, match=f'`{name}`.*{value}'):
    UpscaleOptions(**{name: value})


def test_another_kernel_than_the_saved_models_is_refused(image, tmp_path):
  options = small.options(denoiser=BlockDenoiser.CLOSED_FORM, num_pairs=64)
  learn_upscaler(image, options, workdir=tmp_path)
  with pytest.raises(ValueError, match='`kernel`'):
    learn_upscaler(image, options, kernel=np.ones((3, 3)) / 9, workdir=tmp_path)


def test_the_closed_form_is_saved_and_loaded(image, tmp_path):
  options = small.options(denoiser=BlockDenoiser.CLOSED_FORM, num_pairs=64)
  saved = learn_upscaler(image, options, workdir=tmp_path)
  assert_equal(learn_upscaler(image, options, workdir=tmp_path), saved)
