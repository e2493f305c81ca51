"""Denoisers: everything that estimates E[x0 | x, sigma, cond]."""
