"""The experiments of the talk, each checked against an exact answer."""
