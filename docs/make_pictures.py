"""Makes the pictures of the site by the commands: python docs/make_pictures.py.

Takes some minutes on two cores. The photographs come with scikit-image.
"""

import pathlib
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import skimage.data
import skimage.transform

from internal_diffusion.data import image_io

PICTURES = pathlib.Path(__file__).parent / 'pictures'
SIDE = 160


def photograph(name: str) -> np.ndarray:
  """A photograph of scikit-image, [H, W, 3] in [-1, 1]."""
  image = getattr(skimage.data, name)()[..., :3] / 255.0
  image = 2 * image.astype(np.float32) - 1
  return image_io.bound_side(image, max_side=SIDE)


def run(name: str, folder: pathlib.Path, *arguments: str) -> pathlib.Path:
  """Runs a command in a folder and returns the folder of its results."""
  out = folder / f'out_{name}'
  subprocess.run(
    [
      sys.executable,
      '-m',
      f'internal_diffusion.bin.{name}',
      *arguments,
      f'--out={out}',
    ],
    cwd=folder,
    check=True,
  )
  return out


def keep(name: str, *images: np.ndarray) -> None:
  """Writes images beside each other, with a white line between."""
  height = max(image.shape[0] for image in images)
  parts = []
  for image in images:
    zoom = height // image.shape[0]
    large = image.repeat(zoom, axis=0).repeat(zoom, axis=1)
    gap = np.ones((height, 6, 3), np.float32)
    padding = np.ones((height - large.shape[0], large.shape[1], 3), np.float32)
    parts += [np.concatenate([large, padding]), gap]
  image_io.write_image(
    PICTURES / f'{name}.png', np.concatenate(parts[:-1], axis=1)
  )


def main() -> None:
  """Makes all pictures."""
  with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    coffee, cat = photograph('coffee'), photograph('chelsea')
    image_io.write_image(folder / 'coffee.png', coffee)
    out = run('generate', folder, '--image=coffee.png', '--num_samples=3')
    samples = [image_io.read_image(out / f'sample_00{i}.png') for i in range(3)]
    keep('generate', coffee, *samples)

    hole = np.zeros((*cat.shape[:2], 3), np.float32) - 1
    hole[30:70, 20:60] = 1
    image_io.write_image(folder / 'cat.png', cat)
    image_io.write_image(folder / 'hole.png', hole)
    arguments = ('--image=cat.png', '--mask=hole.png', '--num_samples=2')
    out = run('edit', folder, '--mode=fill', *arguments)
    keep(
      'fill',
      np.where(hole > 0, np.float32(1), cat),
      *(image_io.read_image(out / f'sample_00{i}.png') for i in range(2)),
    )

    rng = np.random.default_rng(0)
    noisy = cat + 2 * 25 / 255 * rng.standard_normal(cat.shape)
    image_io.write_image(folder / 'noisy.png', noisy.clip(-1, 1))
    out = run('restore', folder, '--image=noisy.png')
    keep('restore', noisy.clip(-1, 1), image_io.read_image(out / 'mean.png'))
    shutil.copy(out / 'std.png', PICTURES / 'restore_std.png')

    small = image_io.bound_side(coffee, max_side=80)
    image_io.write_image(folder / 'small.png', small)
    arguments = ('--image=small.png', '--preset=fast', '--num_samples=2')
    out = run('upscale', folder, *arguments)
    keep(
      'upscale',
      *(
        image_io.read_image(out / f'{name}.png')
        for name in ('input', 'mean', 'sample_000')
      ),
    )

    rotated = skimage.transform.rotate(coffee, 2, mode='edge')
    image_io.write_image(folder / 'next.png', rotated.astype(np.float32))
    arguments = ('--frames=coffee.png,next.png', '--minutes=0.3')
    out = run('flow', folder, *arguments)
    for name in ('flow', 'confidence'):
      shutil.copy(out / f'{name}.png', PICTURES / f'{name}.png')


if __name__ == '__main__':
  main()
