"""Image and flow files, pyramids, patches, triplets and test images.

Example:
  >>> from internal_diffusion.data import checkerboard, extract_patches
  >>> extract_patches(checkerboard(), patch_size=7).shape
  (74, 74, 49)
"""

from internal_diffusion.data.array_io import (
  read_array,
)
from internal_diffusion.data.blur import Blur, make_blur
from internal_diffusion.data.blur_kernel import (
  check_kernel,
  read_kernel,
)
from internal_diffusion.data.clip_io import (
  Clip,
  make_clip,
  read_clip,
  read_first_frame,
  write_frames,
  write_gif,
  write_mp4,
)
from internal_diffusion.data.colour_planes import (
  from_planes,
  to_planes,
)
from internal_diffusion.data.distributions import (
  make_condition,
  split,
)
from internal_diffusion.data.downscaling import (
  Downscaling,
  make_downscaling,
  scaled_size,
)
from internal_diffusion.data.flow_fields import (
  FramePair,
  make_pair,
  rotation,
  smooth_random,
  translation,
  zoom,
)
from internal_diffusion.data.flow_io import (
  read_flow,
  write_flow,
)
from internal_diffusion.data.image_io import (
  bound_side,
  check_image,
  make_grid,
  read_image,
  read_image_with_alpha,
  write_animation,
  write_grid,
  write_image,
)
from internal_diffusion.data.jpeg import (
  JpegCells,
  encode_cells,
  read_jpeg_cells,
)
from internal_diffusion.data.masks import (
  check_mask,
  read_mask,
  read_masks,
)
from internal_diffusion.data.metadata import (
  Metadata,
  read_metadata,
)
from internal_diffusion.data.noise_correlation import (
  Correlation,
  unwhiten,
  whiten,
)
from internal_diffusion.data.noise_level import (
  NoiseEstimate,
  estimate_noise,
)
from internal_diffusion.data.operators import (
  Composition,
  LinearOperator,
  compose,
)
from internal_diffusion.data.pair_table import (
  PairTable,
  make_pair_table,
)
from internal_diffusion.data.patches import (
  average_patches,
  crop_patches,
  extract_patches,
  gather_patches,
  interpolate_patches,
)
from internal_diffusion.data.pointwise import (
  Identity,
  Luminance,
  Masking,
  make_masking,
)
from internal_diffusion.data.principal_basis import (
  PrincipalBasis,
  fit_axis_basis,
  fit_principal_basis,
  from_principal,
  to_principal,
)
from internal_diffusion.data.pyramid import (
  Pyramid,
  build_pyramid,
)
from internal_diffusion.data.resampling import (
  Border,
  resample,
)
from internal_diffusion.data.synthetic import (
  checkerboard,
  smooth_texture,
  triangle_frames,
)
from internal_diffusion.data.triplets import (
  displacement_of,
  enumerate_triplets,
  sample_triplets,
  to_delta,
)
from internal_diffusion.data.variance_stabilisation import (
  destabilise,
  stabilise,
)
from internal_diffusion.data.vector_io import write_netcdf, write_table
from internal_diffusion.data.warp import (
  frames_between,
  invert_flow,
  steepness,
)

__all__ = [
  'Blur',
  'Border',
  'Clip',
  'Composition',
  'Correlation',
  'Downscaling',
  'FramePair',
  'Identity',
  'JpegCells',
  'LinearOperator',
  'Luminance',
  'Masking',
  'Metadata',
  'NoiseEstimate',
  'PairTable',
  'PrincipalBasis',
  'Pyramid',
  'average_patches',
  'bound_side',
  'build_pyramid',
  'check_image',
  'check_kernel',
  'check_mask',
  'checkerboard',
  'compose',
  'crop_patches',
  'destabilise',
  'displacement_of',
  'encode_cells',
  'enumerate_triplets',
  'estimate_noise',
  'extract_patches',
  'fit_axis_basis',
  'fit_principal_basis',
  'frames_between',
  'from_planes',
  'from_principal',
  'gather_patches',
  'interpolate_patches',
  'invert_flow',
  'make_blur',
  'make_clip',
  'make_condition',
  'make_downscaling',
  'make_grid',
  'make_masking',
  'make_pair',
  'make_pair_table',
  'read_array',
  'read_clip',
  'read_first_frame',
  'read_flow',
  'read_image',
  'read_image_with_alpha',
  'read_jpeg_cells',
  'read_kernel',
  'read_mask',
  'read_masks',
  'read_metadata',
  'resample',
  'rotation',
  'sample_triplets',
  'scaled_size',
  'smooth_random',
  'smooth_texture',
  'split',
  'stabilise',
  'steepness',
  'to_delta',
  'to_planes',
  'to_principal',
  'translation',
  'triangle_frames',
  'unwhiten',
  'whiten',
  'write_animation',
  'write_flow',
  'write_frames',
  'write_gif',
  'write_grid',
  'write_image',
  'write_mp4',
  'write_netcdf',
  'write_table',
  'zoom',
]
