"""idiff-demo as a person runs it."""

import pytest

from tests.bin import commands


@pytest.mark.long
def test_the_demonstration_shows_images_patches_and_figures(tmp_path):
  code, printed, err = commands.run_process(
    'demo', '--minutes=0.02', '--num_samples=1000', f'--out={tmp_path}'
  )
  assert code == 0, err
  assert printed.splitlines()[-1] == f'idiff-demo: index.html in {tmp_path}'
  report = commands.assert_report(tmp_path / 'report.json')
  assert set(report['files']) == {
    'coffee.png',
    'comparison.png',
    'denoising.png',
    'generated.png',
    'index.html',
    'loss.png',
    'samples.npz',
    'samples.png',
    'variance.png',
  }
  figures = report['figures']
  # Patches of a model that was hardly trained differ more than real ones.
  accuracy = figures['generated']['c2st_accuracy']
  assert accuracy > figures['control']['c2st_accuracy']
  page = (tmp_path / 'index.html').read_text()
  assert page.count('<img') == 7
  assert 'Fraction of copies' in page


def test_mistakes_are_one_line(tmp_path):
  out = tmp_path / 'out'
  for argument, word in (
    ('--minutes=0', '--minutes'),
    ('--num_samples=1', '--num_samples'),
  ):
    code, _, err = commands.run('demo', argument, f'--out={out}')
    commands.assert_one_line_and_nothing_written(code, err, out)
    assert word in err
