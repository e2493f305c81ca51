"""Figures of merit for generated patches and images."""
