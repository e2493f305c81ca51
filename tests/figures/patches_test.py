"""Figures of patches."""

import numpy as np

from internal_diffusion import figures


def test_comparison_shows_every_patch_at_its_place():
  levels = np.linspace(-1, 1, 6).reshape(6, 1, 1, 1)
  patches = np.tile(levels, (1, 3, 3, 3))
  drawn = figures.patch_comparison(
    patches, patches[::-1], title='3x3', num_columns=3
  )
  for axes, values in zip(drawn.axes, (levels, levels[::-1]), strict=True):
    # Patches of 12 pixels, with gaps of one.
    shown = np.asarray(axes.images[0].get_array())[6::13, 6::13, 0]
    np.testing.assert_allclose(2 * shown.ravel() - 1, values.ravel(), atol=1e-6)
  assert [axes.get_title() for axes in drawn.axes] == ['generated', 'real']


def test_named_patches_show_the_first_of_each_set_at_its_place():
  levels = np.linspace(-1, 1, 6)
  vectors = np.tile(levels[:, None], (1, 9))
  drawn = figures.named_patches(
    {'up': vectors, 'down': vectors[::-1]}, title='3x3', num=4, num_columns=2
  )
  for axes, values in zip(drawn.axes, (levels, levels[::-1]), strict=True):
    # Patches of 9 pixels, with gaps of one.
    shown = np.asarray(axes.images[0].get_array())[5::10, 5::10]
    np.testing.assert_allclose(2 * shown.ravel() - 1, values[:4], atol=1e-6)
  assert [axes.get_title() for axes in drawn.axes] == ['up', 'down']


def test_strip_has_unit_scale_and_at_most_13_sigmas():
  for num_steps in (3, 40):
    sigmas = np.linspace(num_steps, 0, num_steps + 1)
    scale = np.sqrt(1 + sigmas**2)
    states = np.tile(scale[None, :, None, None, None], (2, 1, 5, 5, 1))
    axes = figures.denoising_strip(0.5 * states, sigmas).axes
    num_columns = min(13, num_steps + 1)
    assert len(axes) == 2 * num_columns
    for one in axes:
      np.testing.assert_allclose(one.images[0].get_array(), 0.75)
    titles = [one.get_title() for one in axes[:num_columns]]
    assert (titles[0], titles[-1]) == (str(num_steps), '0')


def test_variance_ratios_are_both_in_sight():
  ratios, baseline = np.array([0.5, 4.0]), np.ones(2)
  axes = figures.variance_ratios(ratios, baseline).axes[0]
  curves = {line.get_label(): line.get_ydata() for line in axes.get_lines()}
  np.testing.assert_array_equal(curves['generated / real'], ratios)
  np.testing.assert_array_equal(curves['real / real'], baseline)
  assert axes.get_ylim() == (0, 4.4)
