"""Makes the pictures of the site by the commands: python -m docs.make_pictures.

With names after it, such as `fill flow`, it makes those alone. All take about
ten minutes on two cores. The photographs come with scikit-image.
"""

import pathlib
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import skimage.data
import skimage.segmentation
import skimage.transform

from benchmarks import measurement_images, video_clips
from internal_diffusion.data import clip_io, image_io

PICTURES = pathlib.Path(__file__).parent / 'pictures'


def photograph(name: str, side: int) -> np.ndarray:
  """A photograph of scikit-image, [H, W, 3] in [-1, 1]."""
  image = getattr(skimage.data, name)()[..., :3] / 255.0
  image = 2 * image.astype(np.float32) - 1
  return image_io.bound_side(image, max_side=side)


def disc(
  image: np.ndarray, centre: tuple[float, float], radius: float
) -> np.ndarray:
  """A mask, [H, W] bool; centre over height and width, radius in pixels."""
  height, width = image.shape[:2]
  y, x = np.mgrid[:height, :width]
  return np.hypot(y - centre[0] * height, x - centre[1] * width) < radius


def write_mask(path: pathlib.Path, mask: np.ndarray) -> None:
  """Writes a mask [H, W], white where it is true."""
  picture = np.where(mask[..., None], np.float32(1), np.float32(-1))
  image_io.write_image(path, picture)


def run(name: str, folder: pathlib.Path, *arguments: str) -> pathlib.Path:
  """Runs a command in a folder and returns the folder of its results."""
  out = folder / 'out'
  subprocess.run(
    [
      sys.executable,
      '-m',
      f'internal_diffusion.bin.{name}',
      *arguments,
      f'--out={out}',
      '--overwrite',
    ],
    cwd=folder,
    check=True,
  )
  return out


def read(out: pathlib.Path, *names: str) -> list[np.ndarray]:
  """Images of a folder of results."""
  return [image_io.read_image(out / f'{name}.png') for name in names]


def beside(*images: np.ndarray) -> np.ndarray:
  """Images beside each other, with a white line between."""
  height = max(image.shape[0] for image in images)
  parts = []
  for image in images:
    zoom = height // image.shape[0]
    large = image.repeat(zoom, axis=0).repeat(zoom, axis=1)
    gap = np.ones((height, 6, 3), np.float32)
    padding = np.ones((height - large.shape[0], large.shape[1], 3), np.float32)
    parts += [np.concatenate([large, padding]), gap]
  return np.concatenate(parts[:-1], axis=1)


def keep(name: str, *rows: np.ndarray) -> None:
  """Writes rows of images below each other, with a white line between."""
  width = max(row.shape[1] for row in rows)
  parts = []
  for row in rows:
    padding = np.ones((row.shape[0], width - row.shape[1], 3), np.float32)
    gap = np.ones((6, width, 3), np.float32)
    parts += [np.concatenate([row, padding], axis=1), gap]
  image_io.write_image(PICTURES / f'{name}.png', np.concatenate(parts[:-1]))


def generate(folder: pathlib.Path) -> None:
  """New images of two photographs."""
  rows = []
  for name in ('immunohistochemistry', 'coffee'):
    image = photograph(name, 240)
    image_io.write_image(folder / 'photo.png', image)
    out = run('generate', folder, '--image=photo.png', '--num_samples=3')
    samples = read(out, 'sample_000', 'sample_001', 'sample_002')
    rows.append(beside(image, *samples))
  keep('generate', *rows)


def fill(folder: pathlib.Path) -> None:
  """A hole and two answers."""
  cat = photograph('chelsea', 320)
  hole = np.zeros(cat.shape[:2], bool)
  hole[60:140, 20:100] = True
  image_io.write_image(folder / 'cat.png', cat)
  write_mask(folder / 'hole.png', hole)
  files = ('--image=cat.png', '--mask=hole.png')
  out = run('edit', folder, '--mode=fill', *files, '--num_samples=2')
  white = np.where(hole[..., None], np.float32(1), cat)
  keep('fill', beside(white, *read(out, 'sample_000', 'sample_001')))


def edit(folder: pathlib.Path) -> None:
  """What was given and an answer, of the other modes."""
  coffee, cat = photograph('coffee', 240), photograph('chelsea', 240)
  image_io.write_image(folder / 'coffee.png', coffee)
  image_io.write_image(folder / 'cat.png', cat)
  mirrored = coffee[:, ::-1]
  labels = skimage.segmentation.slic(
    mirrored / 2 + 0.5, n_segments=80, start_label=0
  )
  means = np.stack([mirrored[labels == i].mean(0) for i in np.unique(labels)])
  image_io.write_image(folder / 'painting.png', means[labels])
  cup = disc(coffee, (0.36, 0.46), 48)
  write_mask(folder / 'cup.png', cup)
  pasted = np.where(cup[..., None], 0.6 * (coffee + 1) - 1, coffee)
  image_io.write_image(folder / 'pasted.png', pasted)
  write_mask(folder / 'spoon.png', disc(coffee, (0.7, 0.6), 24))

  def answer(mode: str, *arguments: str, image: str = 'coffee') -> np.ndarray:
    name = f'--image={image}.png'
    run('edit', folder, f'--mode={mode}', name, '--num_samples=2', *arguments)
    return read(folder / 'out', 'sample_000')[0]

  def with_hole(mask: np.ndarray) -> np.ndarray:
    return np.where(mask[..., None], np.float32(1), coffee)

  rows = [
    beside(
      with_hole(disc(coffee, (0.7, 0.6), 24)),
      answer('remove', '--mask=spoon.png'),
      coffee,
      answer('rearrange', '--mask=spoon.png', '--move=-5,-80', '--copy'),
    ),
    beside(
      means[labels],
      answer('paint', '--guide=painting.png'),
      pasted,
      answer('harmonize', '--mask=cup.png', image='pasted'),
    ),
    beside(
      cat,
      answer('reference', '--guide=cat.png', '--factor=4'),
      coffee,
      answer('vary', '--strength=0.2'),
    ),
    beside(coffee, answer('extend', '--expand=0,120,0,120')),
  ]
  keep('edit', *rows)


def restore(folder: pathlib.Path) -> None:
  """Noise and missing pixels, the means, and the standard deviation."""
  cat = photograph('chelsea', 320)
  rng = np.random.default_rng(0)
  noisy = cat + 2 * 25 / 255 * rng.standard_normal(cat.shape)
  noisy = noisy.clip(-1, 1).astype(np.float32)
  image_io.write_image(folder / 'noisy.png', noisy)
  out = run('restore', folder, '--image=noisy.png')
  noise = beside(noisy, *read(out, 'mean'))
  shutil.copy(out / 'std.png', PICTURES / 'restore_std.png')
  missing = rng.random(cat.shape[:2]) < 0.5
  holes = np.where(missing[..., None], np.float32(-1), cat)
  image_io.write_image(folder / 'holes.png', holes)
  write_mask(folder / 'missing.png', missing)
  out = run('restore', folder, '--image=holes.png', '--mask=missing.png')
  keep('restore', noise, beside(holes, *read(out, 'mean')))


def upscale(folder: pathlib.Path) -> None:
  """A small picture, the mean and a sample."""
  image_io.write_image(folder / 'small.png', photograph('chelsea', 150))
  arguments = ('--image=small.png', '--preset=fast', '--num_samples=2')
  out = run('upscale', folder, *arguments)
  keep('upscale', beside(*read(out, 'input', 'mean', 'sample_000')))


def flow(folder: pathlib.Path) -> None:
  """The flow of a photograph that turns, and its standard deviation."""
  coffee = photograph('coffee', 240)
  image_io.write_image(folder / 'coffee.png', coffee)
  turned = skimage.transform.rotate(coffee, 2, mode='edge')
  image_io.write_image(folder / 'next.png', turned.astype(np.float32))
  arguments = ('--frames=coffee.png,next.png', '--minutes=0.5')
  out = run('flow', folder, *arguments)
  for name in ('flow', 'confidence'):
    shutil.copy(out / f'{name}.png', PICTURES / f'{name}.png')


def vectors(folder: pathlib.Path) -> None:
  """Measured vectors of particles in a vortex."""
  pair = measurement_images.particles(
    0, measurement_images.vortex(5.0), measurement_images.Recording()
  )
  for name in ('first', 'second'):
    frame = getattr(pair, name)[..., None] / np.float32(127.5) - 1
    image_io.write_image(folder / f'{name}.png', frame)
  arguments = ('--frames=first.png,second.png', '--kind=particles')
  out = run('flow', folder, *arguments)
  for name in ('vectors', 'reliability'):
    shutil.copy(out / f'{name}.png', PICTURES / f'{name}.png')


def video(folder: pathlib.Path) -> None:
  """Frames between those of a clip."""
  clip = video_clips.made_clips(6)['layers, chelsea and rocket']
  clip_io.write_frames(folder / 'frames', clip)
  arguments = ('--task=interpolate', '--clip=frames', '--at=3')
  out = run('video', folder, *arguments, '--num_samples=2')
  keep('video', beside(clip[2], *read(out, 'mean'), clip[3]))
  shutil.copy(out / 'uncertainty.png', PICTURES / 'video_uncertainty.png')


def main() -> None:
  """Makes the pictures that were asked for, or all."""
  wanted = sys.argv[1:]
  for make in (
    generate,
    fill,
    edit,
    restore,
    upscale,
    flow,
    vectors,
    video,
  ):
    if not wanted or make.__name__ in wanted:
      with tempfile.TemporaryDirectory() as name:
        make(pathlib.Path(name))


if __name__ == '__main__':
  main()
