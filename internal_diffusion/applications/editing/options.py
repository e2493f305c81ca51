"""Options of edits of one picture."""

import dataclasses
import enum

from internal_diffusion import arrays
from internal_diffusion import options as options_lib
from internal_diffusion.applications.editing.remove import check_grow
from internal_diffusion.options import rare


class Mode(enum.StrEnum):
  """What is done with a picture."""

  FILL = 'fill'
  REMOVE = 'remove'
  EXTEND = 'extend'
  PAINT = 'paint'
  HARMONIZE = 'harmonize'
  REFERENCE = 'reference'
  REARRANGE = 'rearrange'
  VARY = 'vary'
  INTERPOLATE = 'interpolate'


class Mirror(enum.StrEnum):
  """How a region is mirrored."""

  NONE = 'none'
  HORIZONTAL = 'horizontal'
  VERTICAL = 'vertical'


# The modes that use an option; others use all modes.
_MODES_OF = {
  'strength': (Mode.PAINT, Mode.HARMONIZE, Mode.VARY, Mode.INTERPOLATE),
  'expand': (Mode.EXTEND,),
  'size': (Mode.EXTEND, Mode.PAINT, Mode.REFERENCE),
  'grow': (Mode.REMOVE,),
  'factor': (Mode.REFERENCE,),
  'move': (Mode.REARRANGE,),
  'scale': (Mode.REARRANGE,),
  'mirror': (Mode.REARRANGE,),
  'copy': (Mode.REARRANGE,),
  'invert_mask': (Mode.FILL, Mode.REMOVE, Mode.HARMONIZE, Mode.REARRANGE),
}
# What each mode is given beside the picture: whether it is required.
NEEDS_MASK = {
  Mode.FILL: True,
  Mode.REMOVE: True,
  Mode.HARMONIZE: False,
  Mode.REARRANGE: True,
}
NEEDS_GUIDE = {
  Mode.PAINT: True,
  Mode.HARMONIZE: False,
  Mode.REFERENCE: True,
  Mode.INTERPOLATE: True,
}


@dataclasses.dataclass(frozen=True)
class EditOptions:
  """How a picture is edited with its own patches.

  Attributes:
    mode: What is done: fill a hole, remove an object, extend the picture, paint
      a photograph from a rough painting, harmonize a pasted object, make new
      pictures with the low band of a reference, rearrange a region, vary the
      picture, or interpolate between it and another.
    num_samples: Number of answers; of interpolate, number of frames. By
      default 4 and 9.
    strength: Number in [0, 1]. paint: how closely the painting is followed,
      0.9 by default. vary and interpolate: how much changes at once, 0.4 by
      default. harmonize: fraction of the change of tones, 1 by default.
    expand: New pixels at top, right, bottom and left, as in 0,64,0,64.
    size: Height and width of the answers, as in 240x320. extend adds the same
      number of pixels on opposite sides; paint has the painting's size by
      default, reference the image's.
    grow: Pixels by which remove grows the mask, to cover soft borders and
      shadows; by default 1 of 128 of the longer side.
    factor: Downscaling of the low band that reference keeps, in [1.1, 64].
    move: Pixels down and to the right that rearrange moves the region by, as in
      -20,35.
    scale: New size of the region over its old one, in [0.1, 10].
    mirror: Whether rearrange mirrors the region: horizontal exchanges left and
      right, vertical top and bottom.
    copy: Whether the region that rearrange moves stays where it was, too.
    invert_mask: Whether black, not white, is what changes.
  """

  mode: Mode
  num_samples: int | None = None
  strength: float | None = None
  expand: tuple[int, int, int, int] | None = None
  size: tuple[int, int] | None = None
  grow: int | None = None
  factor: float = 8.0
  move: tuple[int, int] = (0, 0)
  scale: float = 1.0
  mirror: Mirror = Mirror.NONE
  copy: bool = False
  invert_mask: bool = rare(False)

  def __post_init__(self) -> None:
    """Raises ValueError for a value out of range or of another mode."""
    for name, kind in (('mode', Mode), ('mirror', Mirror)):
      value = options_lib.choice(kind, getattr(self, name), name)
      object.__setattr__(self, name, value)
    for field in dataclasses.fields(self):
      modes = _MODES_OF.get(field.name, tuple(Mode))
      is_given = getattr(self, field.name) != field.default
      if is_given and self.mode not in modes:
        raise ValueError(
          f'`{field.name}` is an option of {", ".join(modes)}; the mode is'
          f' {self.mode}.'
        )
    self._check_ranges()

  def _check_ranges(self) -> None:
    if self.num_samples is not None:
      arrays.check_positive_int('num_samples', self.num_samples)
    if self.strength is not None:
      arrays.check_in_range('strength', self.strength, 0, 1)
    for side in self.size or ():
      arrays.check_positive_int('size', side)
    if self.grow is not None:
      check_grow(self.grow)
    arrays.check_in_range('factor', self.factor, 1.1, 64)
    arrays.check_in_range('scale', self.scale, 0.1, 10)
    if self.mode is Mode.EXTEND and (self.expand is None) == (
      self.size is None
    ):
      raise ValueError(
        'extend needs one of `expand` and `size`, got'
        f' {"neither" if self.expand is None else "both"}.'
      )
