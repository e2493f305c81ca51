"""Edits of one picture with its own patches.

edited = fill(key, image, mask)
edited.samples  # [K, H, W, C]
"""

from internal_diffusion.applications.editing.edited import Edited
from internal_diffusion.applications.editing.extend import extend
from internal_diffusion.applications.editing.fill import fill
from internal_diffusion.applications.editing.remove import remove

__all__ = ['Edited', 'extend', 'fill', 'remove']
