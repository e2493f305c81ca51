"""A dense layer whose products may be rounded as the accelerator prefers.

The library asks for full float32 products (`jax_settings`), as distances and
matrix inverses need them. Networks learn as well with the 11 bits of TF32 on a
GPU, or the 8 of bfloat16 on a TPU, several times as fast. On a CPU both are the
same.
"""

import functools

import flax.linen as nn
import jax

Dense = functools.partial(nn.Dense, precision=jax.lax.Precision.DEFAULT)
