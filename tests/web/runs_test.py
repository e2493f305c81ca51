"""Runs of the page without the page: files, masks, jobs, cancelling."""

import time
import zipfile

import numpy as np
import pytest

from internal_diffusion.data import clip_io, image_io
from internal_diffusion.web import runs, uploads
from internal_diffusion.web.jobs import Job
from internal_diffusion.web.sessions import Sessions
from internal_diffusion.web.uses import USES

EDIT = next(use for use in USES if use.command == 'edit')
FLOW = next(use for use in USES if use.command == 'flow')
VIDEO = next(use for use in USES if use.command == 'video')


@pytest.fixture
def picture(tmp_path):
  path = tmp_path / 'given' / 'my, "photo"; $(x) ü.PNG'
  image_io.write_image(path, np.zeros((6, 8, 3), np.float32))
  return path


@pytest.fixture
def folder(tmp_path):
  path = tmp_path / 'run'
  path.mkdir()
  return path


def values(use, **others):
  return [others.get(control.name) for control in use.controls]


def prepare(use, folder, files, **others):
  files = [*files, *[None] * (len(use.uploads) - len(files))]
  return runs.prepare(
    use, folder, files=files, seed=0, **{'values': values(use), **others}
  )


def test_files_get_names_that_a_command_line_can_hold(picture, folder):
  arguments = prepare(FLOW, folder, [str(picture), str(picture)])
  name = 'my_photo_x_ü'
  assert arguments == [f'--frames={name}.png,{name}_2.png', '--out=out']
  assert (folder / f'{name}_2.png').read_bytes() == picture.read_bytes()
  line = (folder / 'command.txt').read_text()
  assert line.startswith('idiff-flow --frames=') or "'--frames=" in line


def test_a_painted_mask_has_the_size_of_the_picture(picture, folder):
  layer = np.zeros((12, 16, 4), np.uint8)
  layer[2:4, 6:10, 3] = 255
  arguments = prepare(
    EDIT,
    folder,
    [str(picture)],
    values=values(EDIT, mode='remove'),
    painted=layer,
  )
  assert '--mask=painted_mask.png' in arguments
  mask = image_io.read_image(folder / 'painted_mask.png', channels=1)[..., 0]
  assert mask.shape == (6, 8)
  assert np.argwhere(mask > 0).tolist() == [[1, 3], [1, 4]]
  assert not uploads.write_mask(0 * layer, folder / 'none.png', size=None)
  assert not (folder / 'none.png').exists()


def test_a_mask_is_painted_on_the_first_frame_of_a_clip(tmp_path, folder):
  frames = np.zeros((3, 6, 8, 3), np.float32)
  frames[:, :, 3] = 1
  path = tmp_path / 'my clip.gif'
  clip_io.write_gif(path, frames, rate=10)
  first = uploads.preview(path, is_clip=True)
  assert first.shape == (480, 640, 3)
  assert first[0, 300].min() > 200
  layer = np.zeros((12, 16, 4), np.uint8)
  layer[2:4, 6:10, 3] = 255
  arguments = prepare(
    VIDEO,
    folder,
    [str(path)],
    values=values(VIDEO, task='fill', num_samples=1, loop=False),
    painted=layer,
  )
  assert arguments == [
    '--clip=my_clip.gif',
    '--mask=painted_mask.png',
    '--task=fill',
    '--num_samples=1',
    '--out=out',
  ]
  mask = image_io.read_image(folder / 'painted_mask.png', channels=1)[..., 0]
  assert mask.shape == (6, 8)
  bad = tmp_path / 'bad.mp4'
  bad.write_bytes(b'no film')
  with pytest.raises(ValueError, match='bad'):
    uploads.preview(bad, is_clip=True)


def test_what_is_missing_or_too_large_is_said(picture, folder, monkeypatch):
  with pytest.raises(ValueError, match='Second frame: give a file'):
    prepare(FLOW, folder, [str(picture)])
  monkeypatch.setattr(uploads, 'MAX_BYTES', 10)
  with pytest.raises(ValueError, match='MB can be given'):
    uploads.preview(picture)


def test_preview(tmp_path, picture):
  assert uploads.preview(picture).shape == (480, 640, 3)
  np.save(tmp_path / 'a.npy', np.zeros((2, 2)))
  assert uploads.preview(tmp_path / 'a.npy') is None
  bad = tmp_path / 'bad.png'
  bad.write_bytes(b'no picture')
  with pytest.raises(ValueError, match='is not an image'):
    uploads.preview(bad)


def test_results_and_their_archive(folder):
  (folder / 'out').mkdir()
  (folder / 'out' / 'report.json').write_text(
    '{"files": ["input.png", "sample_000.png", "sample_000_trace.png"]}'
  )
  (folder / 'command.txt').write_text('idiff-edit')
  shown = runs.collect(EDIT, folder)
  assert [path.rpartition('/')[2] for path in shown.pair] == [
    'input.png',
    'sample_000.png',
  ]
  assert [name for _, name in shown.gallery] == ['sample_000']
  assert shown.uncertainty is None
  with zipfile.ZipFile(shown.archive) as archive:
    assert set(archive.namelist()) == {'command.txt', 'out/report.json'}


def test_a_job_reads_progress_and_dies_at_once(folder):
  job = Job('web', ['--help'], folder)
  assert job.wait() == 0
  assert any('--port' in line for line in job.lines)
  job = Job('web', ['--port=-1'], folder)
  assert job.wait() == 2
  assert 'error: --port must be in' in job.lines[-1]
  job = Job('web', ['--help'], folder)
  job._bar = 'training:  40%|####| 01:20 left, step 3'
  assert (job.progress.fraction, job.progress.left) == (0.4, '01:20')
  job._bar = 'a.png:  75%|###| 3/4 [00:03<00:01,  1.0image/s]'
  assert (job.progress.left, job.progress.stage) == ('00:01', 'a.png')
  start = time.monotonic()
  job.kill()
  assert not job.is_running
  assert time.monotonic() - start < 2
  job.kill()


def test_a_session_has_one_run(tmp_path):
  sessions = Sessions(tmp_path)
  first = sessions.submit('a')
  folder = sessions.new_folder('a')
  assert sessions.is_wanted('a', first)
  second = sessions.submit('a')
  assert not sessions.is_wanted('a', first)
  job = Job('web', ['--help'], folder)
  sessions.start('a', first, job)  # Too late: ends at once.
  assert not job.is_running
  assert sessions.is_wanted('a', second)
  assert sessions.cancel('a')
  assert not sessions.cancel('a')
  assert sessions.new_folder('a') != folder
  assert not folder.exists()
  sessions.close_all()
  assert list(tmp_path.iterdir()) == []
