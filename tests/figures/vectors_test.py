"""Figures of measured vectors."""

import numpy as np
import pytest

from internal_diffusion import figures


@pytest.mark.parametrize('known', [True, False])
def test_vectors_with_crosses_where_nothing_is_known(known, tmp_path):
  points = np.stack(np.meshgrid([4, 12, 20], [4, 12]), axis=-1)
  vectors = np.full((2, 3, 2), 0.5 if known else np.nan)
  vectors[0, 0] = np.nan
  figure = figures.vector_figure(
    np.zeros((16, 24, 1)), points, vectors, np.full((2, 3), 0.1), title='t'
  )
  (crosses,) = figure.axes[0].lines
  assert len(crosses.get_xdata()) == (1 if known else 6)
  figures.write_figure(tmp_path / 'a.png', figure)


def test_residuals_and_reliability(tmp_path):
  residuals = np.random.default_rng(0).standard_normal(1000) / 50
  figure = figures.residual_figure(residuals, title='t')
  assert '2.5 grey' in figure.axes[0].get_legend().texts[0].get_text()
  figures.residual_figure(np.zeros(10), title='t')
  nominal = np.array([0.5, 0.9])
  figure = figures.reliability_figure(
    nominal, np.stack([nominal, nominal]), title='t'
  )
  assert len(figure.axes[0].lines) == 3
