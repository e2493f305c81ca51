"""Restoration of a damaged picture from that picture alone."""

from internal_diffusion.applications.restoration.colorize import colorize
from internal_diffusion.applications.restoration.options import (
  RestoreOptions,
  Task,
)
from internal_diffusion.applications.restoration.restore import restore
from internal_diffusion.applications.restoration.restored import Restored

__all__ = ['RestoreOptions', 'Restored', 'Task', 'colorize', 'restore']
