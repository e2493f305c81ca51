"""Internal learning with diffusion models, from one image, in JAX and Flax.

Every use learns a model from one image, or prepares one, and applies it:

  image = read_image('photo.png', max_side=250)
  model = learn_patches(image, workdir='runs/photo')
  found = sample_patches(key, model, num=64)

  upscaler = learn_upscaler(image)
  larger = upscale(key, upscaler, image, factor=2, num_samples=8)

  restored = restore(key, noisy_image)

  prior = make_image_prior(image)
  new_image = generate(key, prior)[0]

A name is imported where it is used first; `__init__.pyi` says from where.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
