"""Benchmarks, run as modules from the top of the repository."""
