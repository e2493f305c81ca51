"""The results of one input."""

import pytest

from internal_diffusion import compilation
from internal_diffusion.bin.owned_folder import OwnedFolder
from internal_diffusion.bin.results import Results


def test_times_split_a_run_into_its_parts(tmp_path):
  folder = OwnedFolder(
    tmp_path, command='c', settings={}, seed=0, inputs=[], outputs=[]
  )
  meter = compilation.CompileMeter()
  results = Results(folder, meter, name='a', inputs=[], several=False)
  meter.seconds = 1e-4
  total = results.lap('setup') + results.lap('run')
  assert results.seconds['compile'] == pytest.approx(1e-4)
  assert results.seconds['setup'] + results.seconds['run'] == total
