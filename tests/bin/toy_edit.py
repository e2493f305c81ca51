"""Small pictures and masks that the tests of idiff-edit share."""

import numpy as np
import skimage.data
from PIL import Image

from internal_diffusion.data import image_io, metadata
from tests.bin import commands

PHOTO = (2 * skimage.data.coffee()[20:400:16, 40:584:16] / 255.0 - 1).astype(
  np.float32
)  # 24x34 pixels.
MASK = np.zeros((24, 34), bool)
MASK[8:14, 10:18] = True


def write_pictures(path):
  """Writes the pictures and the masks to a folder."""
  kept = metadata.Metadata(dpi=(300.0, 300.0))
  image_io.write_image(path / 'photo.png', PHOTO, bit_depth=16, metadata=kept)
  image_io.write_image(path / 'small.png', PHOTO[:9, :9])
  image_io.write_image(path / 'tiny.png', PHOTO[:6, :6])
  image_io.write_image(path / 'grey.png', PHOTO[..., :1])
  image_io.write_image(path / 'flipped.png', PHOTO[:, ::-1])
  pasted = PHOTO.copy()
  pasted[MASK] = 0.6 * (pasted[MASK] + 1) - 1
  image_io.write_image(path / 'pasted.png', pasted)
  alpha = np.where(MASK, -1, 1)[..., None].astype(np.float32)
  image_io.write_image(
    path / 'alpha.png', np.concatenate([PHOTO, alpha], axis=-1)
  )
  image_io.write_image(path / 'mask.png', -alpha)
  # Larger, 1 bit, and black where it changes.
  large = Image.fromarray(~MASK.repeat(2, 0).repeat(2, 1))
  large.save(path / 'inverted.png')
  for name, value in {'black': -1.0, 'white': 1.0}.items():
    image_io.write_image(path / f'{name}.png', np.full((24, 34, 1), value))


def run(folder, out, *arguments):
  arguments = [argument.format(folder=folder) for argument in arguments]
  return commands.run('edit', *arguments, f'--out={out}')
