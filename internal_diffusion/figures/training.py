"""Figures of a training run."""

from collections.abc import Mapping, Sequence

from internal_diffusion.figures.style import Figure, new_figure, own_style


@own_style
def loss_curve(metrics: Sequence[Mapping[str, float]]) -> Figure:
  """Curves of the training loss and the learning rate over steps.

  Args:
    metrics: Lines of a run's log, with `step`, `loss` and `learning_rate`.
  """
  steps, loss, rates = (
    [line[name] for line in metrics]
    for name in ('step', 'loss', 'learning_rate')
  )
  figure = new_figure(7, 4)
  axes = figure.add_subplot()
  lines = axes.plot(steps, loss, color='C0', label='loss, mean of a call')
  axes.set(title='Training loss', xlabel='step', ylabel='loss')
  axes.grid(alpha=0.3)
  right = axes.twinx()
  lines += right.plot(
    steps, rates, color='C1', linestyle=':', label='learning rate (right)'
  )
  right.set_ylim(bottom=0)
  axes.legend(handles=lines, loc='upper right')
  return figure
