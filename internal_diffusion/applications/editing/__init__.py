"""Edits of one picture with its own patches.

edited = fill(key, image, mask)
edited.samples  # [K, H, W, C]
"""

from internal_diffusion.applications.editing.edit import edit
from internal_diffusion.applications.editing.edited import Edited
from internal_diffusion.applications.editing.extend import extend
from internal_diffusion.applications.editing.fill import fill
from internal_diffusion.applications.editing.harmonize import harmonize
from internal_diffusion.applications.editing.options import (
  EditOptions,
  Mirror,
  Mode,
)
from internal_diffusion.applications.editing.paint import paint
from internal_diffusion.applications.editing.rearrange import Place, rearrange
from internal_diffusion.applications.editing.reference import reference
from internal_diffusion.applications.editing.remove import remove
from internal_diffusion.applications.editing.vary import interpolate, vary

__all__ = [
  'EditOptions',
  'Edited',
  'Mirror',
  'Mode',
  'Place',
  'edit',
  'extend',
  'fill',
  'harmonize',
  'interpolate',
  'paint',
  'rearrange',
  'reference',
  'remove',
  'vary',
]
