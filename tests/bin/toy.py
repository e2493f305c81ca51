"""A small command, with which the parts that all commands share are tested."""

import dataclasses
import enum

import numpy as np
from absl import flags

from internal_diffusion import arrays
from internal_diffusion.bin import command, common_flags, option_flags
from internal_diffusion.data import image_io
from internal_diffusion.options import rare


class Tone(enum.StrEnum):
  LIGHT = 'light'
  DARK = 'dark'


@dataclasses.dataclass(frozen=True)
class Nested:
  """Options without flags.

  Attributes:
    width: Width.
  """

  width: int = 1


@dataclasses.dataclass(frozen=True)
class ToyOptions:
  """Options of the toy.

  Attributes:
    copies: Number of copies.
    tone: Tone of the copies.
    gain: Factor of the pixels.
    negative: Whether to invert the pixels.
    limits: Lowest and highest value.
    label: Text of the report.
    side: Longest side in pixels.
    nested: Options without flags.
  """

  copies: int = 1
  tone: Tone = Tone.LIGHT
  gain: float = rare(1.0)
  negative: bool = False
  limits: tuple[float, float] = (-1.0, 1.0)
  label: str = ''
  side: int | None = None
  nested: Nested = Nested()

  def __post_init__(self):
    arrays.check_positive_int('copies', self.copies)


FLAGS = flags.FlagValues()


def reset():
  """New flags, as in a new process."""
  global FLAGS
  FLAGS = flags.FlagValues()
  common_flags.define(FLAGS, 'image', 'out', 'workdir', 'seed', 'overwrite')
  option_flags.define(FLAGS, ToyOptions)


def main():
  options = option_flags.read(FLAGS, ToyOptions)

  def process(results):
    image = image_io.read_image(results.inputs[0])
    results.lap('setup')
    if options.label == 'nan':
      raise FloatingPointError('The loss is not finite at step 3.')
    for index in range(options.copies):
      path = results.picture(f'copy_{index:03d}.png', f'Copy {index}.')
      image_io.write_image(path, np.clip(image * options.gain, -1, 1))
    results.summary = f'{options.copies} copies'
    return {'mean': float(image.mean())}

  command.for_each_input(
    FLAGS,
    process,
    name='idiff-toy',
    settings=options,
    outputs=('copy_*.png', 'mean.png'),
  )


def run():
  command.run(main, FLAGS, name='idiff-toy', doc='Copies images.')
