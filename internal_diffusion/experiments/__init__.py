"""The experiments of the talk, each checked against an exact answer.

Each is a function `run(seed, *, effort=1.0, progress=False)` that returns a
`result.Result`. `effort` is the number of training steps and samples relative
to the full experiment, and `progress` shows progress bars.
"""
