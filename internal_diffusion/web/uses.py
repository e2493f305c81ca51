"""The uses that the page has a tab for.

The options of all commands are imported here, and so is nearly all of the
package: `forms` does without.
"""

from internal_diffusion.applications.editing import EditOptions
from internal_diffusion.applications.flow import FlowOptions
from internal_diffusion.applications.images.options import GenerateOptions
from internal_diffusion.applications.restoration import RestoreOptions
from internal_diffusion.applications.super_resolution import UpscaleOptions
from internal_diffusion.applications.video import VideoOptions
from internal_diffusion.web.controls import make_controls
from internal_diffusion.web.use import Upload, Use

# Options of each command.
OPTIONS: dict[str, type] = {
  'generate': GenerateOptions,
  'edit': EditOptions,
  'upscale': UpscaleOptions,
  'restore': RestoreOptions,
  'flow': FlowOptions,
  'video': VideoOptions,
}

_PICTURE = Upload('image', 'Picture', is_required=True)
_MASK = Upload('mask', 'Mask from a file: white is what changes')

USES = (
  Use(
    title='New images',
    command='generate',
    text='New images of any size, made of the patches of one picture.',
    controls=make_controls(
      GenerateOptions,
      ('num_samples', 'size', 'mode', 'tileable', 'symmetric', 'max_side'),
    ),
    uploads=(_PICTURE, Upload('structure', 'Layout from another picture')),
    after='sample_000.png',
    uncertainty='',
  ),
  Use(
    title='Fill and edit',
    command='edit',
    text=(
      'Fill a hole, remove an object, extend the picture, or make it follow a'
      ' painting. Paint over what changes, or give a mask.'
    ),
    controls=make_controls(
      EditOptions,
      ('mode', 'num_samples', 'expand', 'size', 'strength', 'grow', 'move'),
    ),
    uploads=(_PICTURE, _MASK, Upload('guide', 'Guide: painting or reference')),
    paints_mask=True,
    after='sample_000.png',
    uncertainty='difference.png',
  ),
  Use(
    title='Upscale',
    command='upscale',
    text='A larger picture, learnt from the picture and its smaller versions.',
    controls=make_controls(
      UpscaleOptions, ('factor', 'preset', 'num_samples', 'mean_only')
    ),
    uploads=(_PICTURE, Upload('kernel', 'Blur kernel (.npy or .mat)')),
  ),
  Use(
    title='Restore',
    command='restore',
    text=(
      'Removes noise, blur or JPEG blocks, fills missing pixels, adds colour.'
      ' With `auto` it looks at the picture and says what it does.'
    ),
    controls=make_controls(
      RestoreOptions, ('task', 'sigma', 'quality', 'num_samples')
    ),
    uploads=(
      _PICTURE,
      Upload('mask', 'Mask from a file: white is missing'),
      Upload('kernel', 'Blur kernel (.npy or .mat)'),
      Upload('scribbles', 'The picture with marks of colour'),
      Upload('reference', 'Colour picture of the same scene'),
    ),
    paints_mask=True,
  ),
  Use(
    title='Motion',
    command='flow',
    text='How each pixel moves from one frame to the next, and how sure it is.',
    controls=make_controls(
      FlowOptions, ('minutes', 'denoiser', 'stereo', 'num_samples')
    ),
    uploads=(
      Upload('frames', 'First frame', is_required=True),
      Upload('frames', 'Second frame', is_required=True),
    ),
    before='',
    after='',
    uncertainty='confidence.png',
    gallery=('flow.png', 'warp_check.png', 'ellipses.png', 'motion.gif'),
  ),
  Use(
    title='Video',
    command='video',
    text=(
      'New frames of a clip: between its frames, after them, behind a mask, or'
      ' larger; or a new clip made of its patches. To fill, paint what is'
      ' removed from every frame, or give a mask.'
    ),
    controls=make_controls(
      VideoOptions,
      (
        'task',
        'num_samples',
        'factor',
        'at',
        'num_frames',
        'size',
        'loop',
        'backward',
        'last',
      ),
    ),
    uploads=(
      Upload(
        'clip',
        'Clip (GIF, WebP or PNG animation, or film)',
        is_required=True,
        is_clip=True,
      ),
      _MASK,
    ),
    paints_mask=True,
    before='',
    after='',
    uncertainty='uncertainty.png',
    gallery=(
      'mean.gif',
      'mean.png',
      'sample_[0-9][0-9][0-9].gif',
      'sample_[0-9][0-9][0-9].png',
      'strip.png',
    ),
  ),
)
