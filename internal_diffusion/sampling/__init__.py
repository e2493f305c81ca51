"""Samplers over a grid of noise levels; a denoiser is their argument."""
