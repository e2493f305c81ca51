"""The true flow that `idiff-flow` compares with."""

from typing import Any, NamedTuple

import numpy as np

from internal_diffusion.bin.results import Results
from internal_diffusion.data import flow_io
from internal_diffusion.evaluation import flow_report


class Truth(NamedTuple):
  """A true flow.

  Attributes:
    flow: Flow (u, v) in pixels, [H, W, 2].
    known: Mask of the pixels where it is known, [H, W] booleans.
  """

  flow: np.ndarray
  known: np.ndarray

  def judge(
    self,
    results: Results,
    mean: np.ndarray,
    covariance: np.ndarray,
    *,
    measured: np.ndarray,
    image: np.ndarray,
    is_horizontal: bool = False,
  ) -> dict[str, Any]:
    """Figures of the report; also adds the error to the summary.

    Args:
      results: Results of the pair.
      mean: Estimated flow, [H, W, 2].
      covariance: Covariance of its error, [H, W, 2, 2].
      measured: Mask of the pixels to compare, [H, W] booleans.
      image: First frame, [H, W, C].
      is_horizontal: See `judge_flow`.
    """
    compared = self.known & measured
    found: dict[str, Any] = {
      'unknown_truth_pixels': int((~self.known).sum()),
      'compared_pixels': int(compared.sum()),
    }
    if not compared.any():
      results.summary += ', the truth is unknown where there are vectors,'
      return found
    found |= flow_report.judge_flow(
      mean,
      covariance,
      self.flow,
      valid=compared,
      image=image,
      is_horizontal=is_horizontal,
    )
    results.summary += f', mean endpoint error {found["aepe"]:.3f} pixels'
    return found


def read_truth(
  name: str | None, size: tuple[int, int], *, num_frames: int
) -> Truth | None:
  """The true flow of two frames; None without a name.

  Args:
    name: Input path, .flo or .png.
    size: Height and width of the frames.
    num_frames: Number of frames, for which there must be one flow.

  Raises:
    FileNotFoundError: If there is no such file.
    ValueError: If it does not fit to the frames, or nothing is known.
  """
  if not name:
    return None
  if num_frames > 2:
    raise ValueError('`truth` needs exactly two `frames`.')
  flow, known = flow_io.read_flow(name)
  if flow.shape[:2] != size:
    raise ValueError(
      f'`truth` must have the size of the frames, {size}, got {flow.shape[:2]}.'
    )
  if not known.any():
    raise ValueError(f'`truth` is unknown everywhere in {name}.')
  return Truth(flow, known)
