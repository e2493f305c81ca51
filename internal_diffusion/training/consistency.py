"""The training of consistency models, by distillation and without a teacher.

The student is a `LearnedDenoiser`, read as a consistency function. It may begin
as the trained denoiser, whose consistency function is one Euler step.

Without a teacher, the clean estimate of a noisy example is the posterior mean
over the batch, as in `denoising`: it has the expectation of the clean example
and less variance.
"""

import dataclasses
from typing import Any, NamedTuple

import jax

from internal_diffusion.data import principal_basis
from internal_diffusion.denoisers import closed_form
from internal_diffusion.denoisers.learned import LearnedDenoiser
from internal_diffusion.diffusion import consistency, losses
from internal_diffusion.diffusion.consistency import (
  ConsistencyModel,
  LevelPairs,
)
from internal_diffusion.training.denoising import make_denoiser
from internal_diffusion.training.denoising_loss import log_condition_prior
from internal_diffusion.training.examples import Draw, Examples
from internal_diffusion.training.fit import Fitted, fit
from internal_diffusion.training.options import DenoiserOptions
from internal_diffusion.training.state import TrainState

Array = jax.Array


class _Data(NamedTuple):
  """The examples' arrays, and the teacher or None."""

  examples: Any
  teacher: Any


@dataclasses.dataclass(frozen=True)
class ConsistencyLoss:
  """Consistency loss of a `LearnedDenoiser`, in principal coordinates.

  Attributes:
    draw: Draw of the examples.
    levels: Pairs of noise levels.
    batch_size: Number of examples in a step.
    num_references: Number of examples that the estimates without a teacher are
      averages over; 0 takes the examples themselves.
  """

  draw: Draw
  levels: LevelPairs
  batch_size: int
  num_references: int

  def __call__(
    self,
    key: Array,
    state: TrainState,
    data: _Data,
    progress: Array,
    index: Array,
  ) -> Array:
    """Losses of the examples `index` [b] of a batch, [b]; see `step.Loss`."""
    model: LearnedDenoiser = state.model
    data_key, sigma_key, noise_key = jax.random.split(key, 3)
    num_drawn = max(self.num_references, self.batch_size)
    x0, clean = self.draw(data_key, data.examples, num_drawn)
    references = principal_basis.to_principal(model.basis, x0)
    cond = jax.tree.map(lambda c: c[index], clean)
    uniform = losses.stratified_uniform(sigma_key, index, self.batch_size)
    sigma, sigma_next = self.levels(uniform, progress)

    def teacher_mean(z: Array, sigma: Array) -> Array:
      return data.teacher.denoise_principal(z, sigma, cond)

    def batch_mean(z: Array, sigma: Array) -> Array:
      shape = (len(z), num_drawn)
      log_prior = log_condition_prior(cond, clean, shape, 0.0)
      return closed_form.posterior_mean(
        z, sigma, references, log_prior=log_prior
      )

    estimate_fn = batch_mean if self.num_references else None
    return consistency.consistency_loss(
      jax.vmap(lambda i: jax.random.fold_in(noise_key, i))(index),
      consistency.consistency_fn(
        lambda z, sigma: model.denoise_principal(z, sigma, cond),
        sigma_min=self.levels.sigma_min,
      ),
      estimate_fn if data.teacher is None else teacher_mean,
      references[index],
      sigma,
      sigma_next,
    )


def fit_consistency(
  examples: Examples,
  options: DenoiserOptions,
  *,
  start: LearnedDenoiser | None = None,
  teacher: LearnedDenoiser | None = None,
  **fit_options: Any,
) -> Fitted[ConsistencyModel]:
  """Trains a consistency model.

  Args:
    examples: Where examples are drawn from.
    options: Noise levels, length, batch and optimiser; the network too where
      there is no `start`. The levels are those of `consistency.LevelPairs`.
    start: Denoiser that the model begins as; None is the teacher, or without
      one a new network.
    teacher: Denoiser of the same principal basis, which is distilled; None
      trains from the examples alone.
    **fit_options: Options of `fit`.

  Raises:
    ValueError: If the teacher and the start have different bases.
    NonFiniteLossError: If the loss is no longer finite.
  """
  start = teacher if start is None else start
  model = make_denoiser(examples, options) if start is None else start
  if teacher is not None and not _same_basis(teacher, model):
    raise ValueError(
      '`teacher` must have the principal basis of `start`; train one from the'
      ' other.'
    )
  noise = options.noise
  loss = ConsistencyLoss(
    examples.draw,
    LevelPairs(noise.sigma_min, noise.sigma_max),
    options.batch_size,
    options.num_references,
  )
  data = _Data(examples.data, teacher)
  fitted = fit(model, data, loss, options, **fit_options)
  return Fitted(ConsistencyModel(fitted.model, noise.sigma_min), *fitted[1:])


def _same_basis(first: LearnedDenoiser, second: LearnedDenoiser) -> bool:
  pairs = zip(first.basis, second.basis, strict=True)
  return all(a.shape == b.shape and bool((a == b).all()) for a, b in pairs)
