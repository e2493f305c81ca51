"""Pictures on the workers of a Dask cluster of two processes."""

import importlib.util
import json
import os
import signal

import numpy as np
import pytest

from internal_diffusion.bin import cluster
from internal_diffusion.data import image_io
from tests.bin import commands


def test_flags_that_differ_between_pictures_are_left_out():
  arguments = ['--image', 'a.png', '-out=o', '--overwrite', '--seed=3']
  arguments += ['--image=b.png', '--nooverwrite', '--scheduler', 'tcp://h:1']
  assert cluster.without_own(arguments) == ['--seed=3']


def test_without_a_scheduler_that_answers(tmp_path):
  for name in 'ab':
    image_io.write_image(tmp_path / f'{name}.png', np.zeros((8, 8, 3)))
  code, _, err = commands.run(
    'generate',
    f'--image={tmp_path}',
    f'--out={tmp_path}/out',
    '--scheduler=nothing://x',
  )
  assert code == 2
  assert '--scheduler' in err
  assert len(err.splitlines()) == 1


@pytest.mark.long
@pytest.mark.skipif(
  importlib.util.find_spec('distributed') is None, reason='the extra `cluster`'
)
@pytest.mark.filterwarnings('default')
def test_a_worker_that_is_killed_loses_nothing(tmp_path):
  import distributed

  folder, out = tmp_path / 'photos', tmp_path / 'out'
  rng = np.random.default_rng(0)
  for index in range(6):
    image = rng.uniform(-1, 1, (24, 24, 3)).astype(np.float32)
    image_io.write_image(folder / f'photo_{index}.png', image)
  (folder / 'bad.png').write_bytes(b'no picture')
  arguments = ('--num_samples=1', '--num_steps=2')
  with distributed.LocalCluster(
    n_workers=2,
    threads_per_worker=1,
    dashboard_address=None,
    local_directory=tmp_path / 'dask',
  ) as local:
    victim = next(iter(local.workers.values())).pid
    killed = False

    def kill_one(dask_worker=None):
      return os.getpid()

    with distributed.Client(local) as client:
      assert victim in client.run(kill_one).values()
    with commands.start(
      'generate',
      f'--image={folder}',
      f'--out={out}',
      f'--scheduler={local.scheduler_address}',
      *arguments,
    ) as process:
      while process.poll() is None and not killed:
        # As soon as a picture is done, one of the two is lost.
        if list(out.glob('photo_*/report.json')):
          os.kill(victim, signal.SIGKILL)
          killed = True
      printed, err = process.communicate(timeout=300)
    assert killed, printed + err
    assert process.returncode == 3, err
    assert 'bad.png failed: ' in err
    report = json.loads((out / 'report.json').read_text())
    assert report['complete']
    assert len(report['figures']) == 6
  # The same pictures as on this machine, and nothing is done again.
  code, printed, _ = commands.run(
    'generate', f'--image={folder}', f'--out={out}', *arguments
  )
  assert code == 3
  assert printed.count('done already') == 6
  alone = tmp_path / 'alone'
  commands.run(
    'generate', f'--image={folder}/photo_3.png', f'--out={alone}', *arguments
  )
  name = 'sample_000.png'
  assert (alone / name).read_bytes() == (out / 'photo_3' / name).read_bytes()
