"""New frames of clips with known truth, beside OpenCV's DIS, and new clips.

  pip install -e '.[bench]'
  python -m benchmarks.video --clip=FOLDER

`--clip` is a real clip; the made ones are in video_clips. A held-out frame is
estimated from all others. DIS warps both neighbours half way, or, for a
prediction, the last frame by the motion before it.
"""

import argparse
import resource
import time

import cv2
import jax
import numpy as np

from benchmarks import tables, timing, video_clips
from internal_diffusion.applications import video
from internal_diffusion.applications.video.steady import flicker
from internal_diffusion.data import make_clip, read_clip
from internal_diffusion.data.resampling import resample
from internal_diffusion.evaluation import compare_clips, ssim

_Z = 1.6449  # Standard deviations of the 90% interval of a Gaussian.
_NUM_FRAMES = 13  # Of a made clip.
_DIS = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)


def dis_flow(first: np.ndarray, second: np.ndarray) -> np.ndarray:
  """DIS's flow between two frames, [H, W, 2]."""
  grey = [
    np.rint(127.5 * (f.mean(axis=-1) + 1)).astype(np.uint8)
    for f in (first, second)
  ]
  return _DIS.calc(*grey, None)


def moved(frame: np.ndarray, flow: np.ndarray) -> np.ndarray:
  """A frame, read at the ends of a flow."""
  y, x = np.mgrid[: frame.shape[0], : frame.shape[1]].astype(np.float32)
  return cv2.remap(
    frame,
    x + flow[..., 0],
    y + flow[..., 1],
    cv2.INTER_CUBIC,
    borderMode=cv2.BORDER_REPLICATE,
  )


def dis_between(first: np.ndarray, second: np.ndarray) -> np.ndarray:
  """Mean of both frames, warped half way along DIS's flow."""
  there, back = dis_flow(first, second), dis_flow(second, first)
  return (moved(first, -there / 2) + moved(second, -back / 2)) / 2


def psnr_of(found: np.ndarray, truth: np.ndarray) -> float:
  """PSNR of frames or of pixels, in decibels."""
  error = found.clip(-1, 1).astype(np.float64) - truth
  return float(10 * np.log10(4 / max(np.mean(error**2), 1e-12)))


def judge(
  found: video.Filmed, truth: np.ndarray, rivals: dict[str, np.ndarray]
) -> dict[str, float]:
  """PSNR, SSIM and coverage of one estimated frame, and PSNR of rivals."""
  mean, spread = found.mean[0], _Z * found.std[0][..., None]
  within = np.abs(mean - truth) <= spread
  figures = {
    'psnr': psnr_of(mean, truth),
    'ssim': ssim(mean, truth),
    'coverage': float(within.mean()),
  }
  if len(found.samples):
    figures['sample_psnr'] = psnr_of(found.samples[0, 0], truth)
  return figures | {name: psnr_of(own, truth) for name, own in rivals.items()}


def interpolated(frames: np.ndarray, index: int) -> dict[str, float]:
  """A held-out frame inside of a clip."""
  held_out = make_clip(np.delete(frames, index, axis=0))
  found = video.interpolate(
    jax.random.key(index), held_out, at=index, num_samples=1
  )
  before, after = frames[index - 1], frames[index + 1]
  rivals = {
    'average': (before + after) / 2,
    'dis': dis_between(before, after),
  }
  noticed = float(found.found['frame_was_missing'])
  return judge(found, frames[index], rivals) | {'noticed': noticed}


def predicted(frames: np.ndarray, index: int) -> dict[str, float]:
  """A frame after all those before it."""
  known = make_clip(frames[:index])
  found = video.predict(
    jax.random.key(index), known, num_frames=1, num_samples=1
  )
  last = frames[index - 1]
  back = dis_flow(last, frames[index - 2])
  rivals = {'copy': last, 'dis': moved(last, back)}
  return judge(found, frames[index], rivals)


def mean_of(runs: list[dict[str, float]]) -> dict[str, float]:
  """The mean of every figure."""
  return {name: float(np.mean([r[name] for r in runs])) for name in runs[0]}


def frames_of(clips: dict[str, np.ndarray], step: int) -> dict[str, object]:
  """Interpolation and prediction of every clip."""
  results: dict[str, object] = {}
  for name, frames in clips.items():
    start = time.perf_counter()
    inside = range(2, len(frames) - 2, step)
    after = range(max(8, len(frames) // 3), len(frames), step)
    results[name] = {
      'interpolation': mean_of([interpolated(frames, i) for i in inside]),
      'prediction': mean_of([predicted(frames, i) for i in after]),
      'seconds_of_a_frame': (time.perf_counter() - start)
      / (len(inside) + len(after)),
    }
  return results


def finer(frames: np.ndarray) -> dict[str, float]:
  """Every second frame held out, and the pace doubled."""
  found = video.interpolate(
    jax.random.key(0), make_clip(frames[::2]), factor=2, num_samples=1
  )
  mean, std, true = found.mean[1::2], found.std[1::2], frames[1::2]
  true = true[: len(mean)]
  sample, whole = found.samples[0], frames[: len(found.mean)]
  drawn = np.abs(sample[1::2] - mean) <= _Z * std[..., None]
  return {
    'sample_coverage': float(drawn.mean()),
    'flicker': flicker(sample) / flicker(whole),
    'flicker_over_given': flicker(sample) / flicker(frames[::2]),
    'psnr': float(np.mean([psnr_of(*p) for p in zip(mean, true, strict=True)])),
    'coverage': float(np.mean(np.abs(mean - true) <= _Z * std[..., None])),
    'dis': float(
      np.mean(
        [
          psnr_of(dis_between(frames[i], frames[i + 2]), frames[i + 1])
          for i in range(0, 2 * len(mean), 2)
        ]
      )
    ),
  }


def filled() -> dict[str, object]:
  """Objects that pass over a background: PSNR in the hole."""
  results = {}
  for name, pan in {'still': (0.0, 0.0), 'moving': (0.9, 0.4)}.items():
    truth, frames, mask = video_clips.covered(12, pan=pan)
    start = time.perf_counter()
    found = video.fill(jax.random.key(0), make_clip(frames), mask)
    results[name] = {
      'psnr_in_hole': psnr_of(found.mean[mask], truth[mask]),
      'known_are_kept': bool(
        np.array_equal(found.mean[~mask], make_clip(frames).frames()[~mask])
      ),
      'seconds': time.perf_counter() - start,
    }
  return results


def upscaled(clips: dict[str, np.ndarray]) -> dict[str, object]:
  """Clips made smaller by 2 and upscaled again."""
  results = {}
  for name, frames in clips.items():
    frames = frames[:7]
    height, width = frames.shape[1:3]
    low = make_clip(np.asarray(resample(frames, (height // 2, width // 2))))
    found = video.upscale(jax.random.key(0), low, factor=2, num_samples=1)
    cubic = np.asarray(resample(low.frames(), (height, width))).clip(-1, 1)
    spread = _Z * found.std[..., None]
    results[name] = {
      'psnr': psnr_of(found.mean, frames),
      'bicubic': psnr_of(cubic, frames),
      'sample_psnr': psnr_of(found.samples[0], frames),
      'coverage': float(np.mean(np.abs(found.mean - frames) <= spread)),
    }
  return results


def generated(frames: np.ndarray, num_clips: int) -> dict[str, object]:
  """New clips of a clip's length and size, and a loop."""
  clip = make_clip(frames)
  prior = video.make_clip_prior(clip)
  runs = []
  for index in range(num_clips):
    start = time.perf_counter()
    found = video.generate(jax.random.key(index), clip, prior=prior)
    seconds = time.perf_counter() - start
    figures = compare_clips(jax.random.key(0), found.samples[0], frames)
    runs.append({**figures, 'seconds': seconds})
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
  return {'runs': runs, 'mean': mean_of(runs), 'gib': peak}


def main() -> None:
  """Runs the chosen parts and saves the results after each."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--clip', help='folder or file of a real clip')
  parser.add_argument('--only', default='frames,finer,fill,upscale,generate')
  parser.add_argument('--step', type=int, default=3, help='of held-out frames')
  parser.add_argument('--num_clips', type=int, default=2)
  options = parser.parse_args()
  command = f'python -m benchmarks.video --clip=FOLDER --step={options.step}'
  clips = video_clips.made_clips(_NUM_FRAMES)
  if options.clip:
    clips = {'real': read_clip(options.clip).frames(), **clips}
  results: dict[str, object] = {}
  if (timing.RESULTS / 'video.json').exists():
    results = tables.read('video')
  first = next(iter(clips.values()))
  parts = {
    'frames': lambda: frames_of(clips, options.step),
    'finer': lambda: {name: finer(own) for name, own in clips.items()},
    'fill': filled,
    'upscale': lambda: upscaled(clips),
    'generate': lambda: generated(first, options.num_clips),
  }
  for name in options.only.split(','):
    results[name] = parts[name]()
    kept = {n: r for n, r in results.items() if n in parts}
    timing.save('video', command, kept)


if __name__ == '__main__':
  main()
