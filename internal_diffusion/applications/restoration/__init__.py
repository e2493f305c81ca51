"""Restoration of a damaged picture from that picture alone."""

from internal_diffusion.applications.restoration.auto import (
  Diagnosis,
  inspect,
)
from internal_diffusion.applications.restoration.blind_kernel import (
  KernelEstimate,
  estimate_kernel,
)
from internal_diffusion.applications.restoration.colorize import colorize
from internal_diffusion.applications.restoration.deblur import deblur
from internal_diffusion.applications.restoration.denoise import denoise
from internal_diffusion.applications.restoration.inpaint import inpaint
from internal_diffusion.applications.restoration.jpeg import restore_jpeg
from internal_diffusion.applications.restoration.options import (
  RestoreOptions,
  Task,
)
from internal_diffusion.applications.restoration.restore import (
  Choice,
  choose_task,
  restore,
)
from internal_diffusion.applications.restoration.restored import Restored
from internal_diffusion.applications.restoration.upscale import (
  upscale_by_splitting,
)

__all__ = [
  'Choice',
  'Diagnosis',
  'KernelEstimate',
  'RestoreOptions',
  'Restored',
  'Task',
  'choose_task',
  'colorize',
  'deblur',
  'denoise',
  'estimate_kernel',
  'inpaint',
  'inspect',
  'restore',
  'restore_jpeg',
  'upscale_by_splitting',
]
