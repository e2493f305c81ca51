"""Training: a pure step, its parallel form, checkpoints and the loop."""
