"""Edits of one picture with its own patches."""

from internal_diffusion.applications.editing.edited import Edited

__all__ = ['Edited']
