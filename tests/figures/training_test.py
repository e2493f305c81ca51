"""Figures of a training run."""

from internal_diffusion import figures


def test_curve_has_the_lines_of_the_log():
  log = [
    {'step': s, 'loss': 2.0 - s, 'learning_rate': s / 10, 'more': 1}
    for s in range(3)
  ]
  left, right = figures.loss_curve(log).axes
  assert left.get_lines()[0].get_xydata().tolist() == [[0, 2], [1, 1], [2, 0]]
  assert right.get_lines()[0].get_ydata().tolist() == [0, 0.1, 0.2]
  assert right.get_ylim()[0] == 0
  labels = [text.get_text() for text in left.get_legend().get_texts()]
  assert labels == ['loss, mean of a call', 'learning rate (right)']
