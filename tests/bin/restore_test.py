"""idiff-restore as a person runs it."""

import json

import numpy as np
import pytest
import skimage.data
from PIL import Image
from scipy import ndimage

from internal_diffusion.data import image_io, metadata
from tests.bin import commands, toy_restore
from tests.bin.toy_restore import PHOTO, run, save

OUTPUTS = {
  'input.png',
  'mean.png',
  'sample_000.png',
  'sample_001.png',
  'std.png',
  'comparison.png',
  'result.npz',
  'index.html',
  'report.json',
}


def with_alpha(image):
  alpha = np.linspace(-1, 1, image.shape[1], dtype=np.float32)[:, None]
  return np.concatenate(
    [image, np.broadcast_to(alpha, (*image.shape[:2], 1))], axis=-1
  )


def test_writes_pictures_arrays_page_and_report(quick_restore, tmp_path):
  path = save(tmp_path / 'photo.png', PHOTO)
  out = tmp_path / 'out'
  code, printed, err = run(
    f'--image={path}', '--sigma=25', '--num_samples=2', f'--out={out}'
  )
  assert code == 0, err
  assert printed.splitlines() == [
    'idiff-restore: photo.png: noise removed (noise of 25 grey levels;'
    f' standard deviation of 13 grey levels now), in {out}'
  ]
  assert {p.name for p in out.iterdir()} == OUTPUTS
  with np.load(out / 'result.npz') as found:
    assert set(found) == {'mean', 'std', 'low', 'high', 'samples'}
    assert found['samples'].shape == (2, 24, 30, 3)
    np.testing.assert_allclose(found['mean'], PHOTO, atol=0.01)
  report = commands.assert_report(out / 'report.json')
  assert report['figures']['found'] == {
    'task': 'denoise',
    'reasons': [],
    'sigma': 25.0,
  }
  assert report['figures']['std_grey_levels'] == pytest.approx(12.75)
  page = (out / 'index.html').read_text()
  for name in OUTPUTS:
    assert name.endswith(('.npz', '.html', '.json')) or name in page


@pytest.mark.parametrize('bits', [8, 16])
@pytest.mark.parametrize('mode', ['L', 'LA', 'RGB', 'RGBA'])
def test_the_mean_has_the_mode_and_depth_of_the_input(
  quick_restore, tmp_path, mode, bits
):
  image = PHOTO if mode.startswith('RGB') else PHOTO[..., :1]
  image = with_alpha(image) if mode.endswith('A') else image
  given = metadata.Metadata(dpi=(200.0, 200.0))
  path = save(tmp_path / 'a.png', image, bit_depth=bits, metadata=given)
  code, _, err = run(
    f'--image={path}',
    '--sigma=9',
    '--num_samples=2',
    f'--out={tmp_path / "b"}',
  )
  assert code == 0, err
  for name in ('mean', 'sample_001'):
    path = tmp_path / 'b' / f'{name}.png'
    found, depth = image_io.read_image_with_alpha(path)
    assert depth == bits
    np.testing.assert_allclose(found, image, atol=1 / (2**bits - 1))
    assert metadata.read_metadata(path).dpi == pytest.approx((200, 200), 1e-3)


def test_a_turned_photograph_keeps_its_exif_and_is_upright(
  quick_restore, tmp_path
):
  exif = Image.Exif()
  exif[271], exif[274] = 'Maker', 6
  pixels = np.rint(127.5 * (PHOTO + 1)).astype(np.uint8)
  Image.fromarray(pixels).save(tmp_path / 'a.jpg', exif=exif.tobytes())
  out = tmp_path / 'out'
  code, _, err = run(
    f'--image={tmp_path / "a.jpg"}', '--task=denoise', f'--out={out}'
  )
  assert code == 0, err
  with Image.open(out / 'mean.png') as picture:
    assert picture.size == (24, 30)
    assert dict(picture.getexif()) == {271: 'Maker', 274: 1}


def test_arrays_are_inputs_too(quick_restore, tmp_path):
  (tmp_path / 'in').mkdir()
  noise = 0.3 * np.random.default_rng(0).normal(size=PHOTO.shape)
  noisy = PHOTO / 2 + 0.5 + noise
  np.save(tmp_path / 'in' / 'a.npy', noisy)
  np.save(tmp_path / 'in' / 'b.npy', noisy[..., 0])
  save(tmp_path / 'in' / 'c.png', PHOTO)
  code, _, err = run(
    f'--image={tmp_path / "in"}', '--sigma=76', f'--out={tmp_path / "out"}'
  )
  assert code == 0, err
  for name, channels, bits in (('a', 3, 16), ('b', 1, 16), ('c', 3, 8)):
    path = tmp_path / 'out' / name / 'mean.png'
    found, depth = image_io.read_image_with_alpha(path)
    assert found.shape == (24, 30, channels)
    assert depth == bits


def test_what_is_given_tells_the_task(quick_restore, tmp_path):
  path = save(tmp_path / 'photo.png', PHOTO[..., :1])
  mask = np.ones((48, 60), np.uint8) * 255
  mask[:30] = 0
  Image.fromarray(mask).save(tmp_path / 'mask.png')
  np.save(tmp_path / 'kernel.npy', np.ones((3, 5)))
  save(tmp_path / 'marks.png', PHOTO)
  for flag, name, task, said in (
    ('mask', 'mask.png', 'inpaint', 'resized'),
    ('kernel', 'kernel.npy', 'deblur', 'sum 15'),
    ('scribbles', 'marks.png', 'colorize', ''),
    ('reference', 'marks.png', 'colorize', ''),
  ):
    out = tmp_path / f'{flag}_out'
    code, _, err = run(
      f'--image={path}', f'--{flag}={tmp_path / name}', f'--out={out}'
    )
    assert code == 0, err
    assert said in err
    report = json.loads((out / 'report.json').read_text())
    assert report['figures']['found']['task'] == task
    channels = 3 if task == 'colorize' else 1
    found, _ = image_io.read_image_with_alpha(out / 'mean.png')
    assert found.shape[-1] == channels


def test_a_look_at_the_picture_is_said_before_the_work(quick_restore, tmp_path):
  pixels = np.rint(127.5 * (PHOTO + 1)).astype(np.uint8)
  Image.fromarray(pixels).save(tmp_path / 'photo.jpg', quality=20)
  noise = np.random.default_rng(0).normal(size=(64, 64, 3))
  save(tmp_path / 'noisy.png', 0.2 * noise)
  for name, task, words in (
    ('photo.jpg', 'jpeg', 'JPEG compression of about quality 20'),
    ('noisy.png', 'denoise', 'noise of 2'),
  ):
    out = tmp_path / task
    code, printed, err = run(f'--image={tmp_path / name}', f'--out={out}')
    assert code == 0, err
    said, done = printed.splitlines()
    assert said.startswith(f'idiff-restore: {name}: Found {words}')
    assert str(out) in done
    found = json.loads((out / 'report.json').read_text())['figures']['found']
    assert found['task'] == task
    assert words in found['reasons'][0]


def test_an_estimated_kernel_is_written_and_can_be_given(tmp_path):
  def deblur(key, given, options, progress):
    restored = toy_restore.fake(key, given, options, progress)
    found = {} if given.kernel is not None else {'kernel': np.eye(5) / 5}
    return restored._replace(found=found)

  path = save(tmp_path / 'photo.png', PHOTO)
  out, again = tmp_path / 'out', tmp_path / 'again'
  with toy_restore.replaced_tasks(deblur=deblur):
    code, _, err = run(f'--image={path}', '--task=deblur', f'--out={out}')
    assert code == 0, err
    code, _, err = run(
      f'--image={path}', f'--kernel={out / "kernel.npy"}', f'--out={again}'
    )
    assert code == 0, err
  assert 'kernel.png' in (out / 'index.html').read_text()
  assert not (again / 'kernel.npy').exists()
  report = json.loads((out / 'report.json').read_text())
  np.testing.assert_allclose(
    report['figures']['found']['kernel'], np.eye(5) / 5
  )


def test_no_samples(quick_restore, tmp_path):
  path = save(tmp_path / 'photo.png', PHOTO)
  code, _, err = run(
    f'--image={path}', '--num_samples=0', '--sigma=5', f'--out={tmp_path / "o"}'
  )
  assert code == 0, err
  assert not list((tmp_path / 'o').glob('sample_*'))
  assert (tmp_path / 'o' / 'comparison.png').exists()


@pytest.mark.long
@pytest.mark.parametrize('task', ['denoise', 'inpaint', 'deblur', 'jpeg'])
def test_a_process_of_its_own_brings_the_picture_nearer_to_the_truth(
  tmp_path, task
):
  truth = (2 * skimage.data.coffee()[100:164, 200:264, :1] / 255.0 - 1).astype(
    np.float32
  )
  random, given = np.random.default_rng(0), []
  damaged = truth + 0.2 * random.normal(size=truth.shape)
  if task == 'inpaint':
    mask = random.random((64, 64)) < 0.3
    damaged = np.where(mask[..., None], -1, truth)
    Image.fromarray(mask).save(tmp_path / 'mask.png')
    given = [f'--mask={tmp_path / "mask.png"}']
  elif task == 'deblur':
    kernel = np.full((1, 7), 1 / 7)
    damaged = ndimage.convolve(truth[..., 0], kernel)[..., None]
    np.save(tmp_path / 'kernel.npy', kernel)
    given = [f'--kernel={tmp_path / "kernel.npy"}', '--sigma=1']
  elif task == 'jpeg':
    pixels = np.rint(127.5 * (truth[..., 0] + 1)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / 'damaged.jpg', quality=10)
    damaged = image_io.read_image(tmp_path / 'damaged.jpg', channels=1)
  path = tmp_path / f'damaged.{"jpg" if task == "jpeg" else "png"}'
  if task != 'jpeg':
    save(path, damaged)
  code, printed, err = commands.run_process(
    'restore',
    f'--image={path}',
    f'--task={task}',
    '--num_samples=2',
    f'--out={tmp_path / "out"}',
    *given,
  )
  assert code == 0, err
  assert 'damaged' in printed
  found, _ = image_io.read_image_with_alpha(tmp_path / 'out' / 'mean.png')
  before, after = (np.mean((x - truth) ** 2) for x in (damaged, found))
  assert after < 0.85 * before
