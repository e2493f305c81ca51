"""What was given, answers and their differences in one figure."""

import numpy as np
import pytest

from internal_diffusion import figures


@pytest.mark.parametrize('num_samples', [1, 2, 9])
@pytest.mark.parametrize('channels', [1, 3])
def test_a_panel_for_each_picture(tmp_path, num_samples, channels):
  random = np.random.default_rng(0)
  image = random.uniform(-1, 1, (20, 30, channels))
  samples = random.uniform(-1, 1, (num_samples, 24, 40, channels))
  mask = np.zeros((20, 30), bool)
  mask[5:10, 5:20] = True
  drawn = figures.editing_figure(
    image, samples, samples.std(axis=0), mask=mask, guide=image[:10]
  )
  titles = [axes.get_title() for axes in drawn.axes]
  answers = [title for title in titles if title.startswith('answer')]
  assert titles[:2] == ['input', 'guide']
  assert len(answers) == min(num_samples, 4)
  assert answers[-1] == f'answer {num_samples - 1}'
  assert ('difference' in titles) == (num_samples > 1)
  figures.write_figure(tmp_path / 'figure.png', drawn)
