"""Noise processes, parametrizations, losses: the maths of diffusion models."""
