"""A tab of the page: the form of a command, and what it shows."""

import dataclasses

from internal_diffusion.web.controls import Control


@dataclasses.dataclass(frozen=True)
class Upload:
  """A file that a use reads.

  Attributes:
    flag: Flag of the command; files of one flag are joined by commas.
    label: What the file is.
    is_required: Whether the use needs it.
    is_clip: Whether it is a clip, of which the first frame is shown.
  """

  flag: str
  label: str
  is_required: bool = False
  is_clip: bool = False


@dataclasses.dataclass(frozen=True)
class Use:
  """A tab of the page.

  Attributes:
    title: Title of the tab.
    command: Name of the command without `idiff-`.
    text: What the use does, in one or two sentences.
    controls: The options that the tab shows.
    uploads: The files that it reads, the picture first.
    paints_mask: Whether a mask can be painted on the picture.
    before: Result that the slider shows on the left, '' for no slider.
    after: Result that the slider shows on the right.
    uncertainty: Picture of the uncertainty, '' for none.
    gallery: Patterns of the names of further pictures.
  """

  title: str
  command: str
  text: str
  controls: tuple[Control, ...]
  uploads: tuple[Upload, ...]
  paints_mask: bool = False
  before: str = 'input.png'
  after: str = 'mean.png'
  uncertainty: str = 'std.png'
  gallery: tuple[str, ...] = ('sample_[0-9][0-9][0-9].png',)
