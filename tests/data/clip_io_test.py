import numpy as np
import pytest

from internal_diffusion.data import clip_io, image_io

FRAMES = np.random.default_rng(0).uniform(-1, 1, (5, 17, 22, 3))
FRAMES = clip_io.make_clip(FRAMES.astype(np.float32)).frames()


def write_folder(folder, frames=FRAMES):
  # Not in the order of the alphabet.
  for index, frame in enumerate(frames):
    image_io.write_image(folder / f'frame{index + 8}.png', frame)
  return folder


def test_a_folder_is_read_in_the_order_of_its_numbers(tmp_path):
  clip = clip_io.read_clip(write_folder(tmp_path))
  np.testing.assert_array_equal(clip.frames(), FRAMES)
  np.testing.assert_array_equal(clip.frame(3), FRAMES[3])
  assert (len(clip), clip.size) == (5, (17, 22))
  assert len(clip_io.read_clip(tmp_path, last=3)) == 3


@pytest.mark.parametrize('ending', ['gif', 'webp'])
def test_an_animation_keeps_its_size_and_rate(tmp_path, ending):
  path = tmp_path / f'clip.{ending}'
  grey = FRAMES.mean(axis=-1, keepdims=True)
  if ending == 'gif':
    clip_io.write_gif(path, grey, rate=20)
  else:
    from PIL import Image

    first, *rest = (
      Image.fromarray(f.repeat(3, axis=-1)) for f in clip_io.to_samples(grey)
    )
    first.save(
      path, save_all=True, append_images=rest, duration=50, lossless=True
    )
  clip = clip_io.read_clip(path)
  assert (len(clip), clip.size, clip.rate) == (5, (17, 22), 20)
  np.testing.assert_allclose(clip.frames()[..., :1], grey, atol=0.011)


@pytest.mark.parametrize('size', [(32, 48), (33, 47)])
def test_a_film_keeps_its_size_and_rate(tmp_path, size):
  pytest.importorskip('imageio_ffmpeg')
  frames = np.zeros((6, *size, 3), np.float32)
  for index in range(6):
    frames[index, :, 5 * index : 5 * index + 8] = 0.5
  path = tmp_path / 'clip.mp4'
  clip_io.write_mp4(path, frames, rate=25)
  clip = clip_io.read_clip(path)
  assert (len(clip), clip.size, clip.rate) == (6, size, 25)
  assert np.abs(clip.frames() - frames).mean() < 0.02
  # A film that ends early names the frame.
  data = path.read_bytes()
  path.write_bytes(data[: len(data) // 2])
  with pytest.raises(ValueError, match=r'clip\.mp4'):
    clip_io.read_clip(path)


def test_a_corrupt_frame_is_named(tmp_path):
  write_folder(tmp_path)
  broken = tmp_path / 'frame10.png'
  broken.write_bytes(broken.read_bytes()[:100])
  with pytest.raises(ValueError, match=r'frame10\.png'):
    clip_io.read_clip(tmp_path)


def test_a_truncated_animation_names_its_frame(tmp_path):
  path = tmp_path / 'clip.gif'
  clip_io.write_gif(path, FRAMES[..., :1], rate=10)
  data = path.read_bytes()
  path.write_bytes(data[: len(data) - len(data) // 3])
  with pytest.raises(ValueError, match=r'Frame \d of .*clip\.gif'):
    clip_io.read_clip(path)


def test_bad_clips(tmp_path):
  with pytest.raises(FileNotFoundError, match='There is no clip'):
    clip_io.read_clip(tmp_path / 'none')
  with pytest.raises(FileNotFoundError, match='no picture'):
    clip_io.read_clip(tmp_path)
  write_folder(tmp_path, FRAMES[:1])
  with pytest.raises(ValueError, match='two frames'):
    clip_io.read_clip(tmp_path)
  image_io.write_image(tmp_path / 'frame9.png', FRAMES[0, :9])
  with pytest.raises(ValueError, match=r'is 17x22 .*frame9.png. is 9x22'):
    clip_io.read_clip(tmp_path)
  with pytest.raises(ValueError, match='one colour'):
    clip_io.make_clip(np.zeros((3, 8, 8, 1)))
  (tmp_path / 'clip.txt').write_text('no clip')
  with pytest.raises(ValueError, match=r'readable are \.gif'):
    clip_io.read_clip(tmp_path / 'clip.txt')
