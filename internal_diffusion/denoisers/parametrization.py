"""What a network predicts, and how that makes a denoiser."""

import enum

import jax
import jax.numpy as jnp

from internal_diffusion.diffusion import (
  preconditioning,
  predictions,
  processes,
)
from internal_diffusion.diffusion.preconditioning import Coefficients

Array = jax.Array


class Parametrization(enum.StrEnum):
  """The prediction of a network.

  WIENER is Karras et al.'s preconditioning with the standard deviation of each
  principal component, so that the skip connection is the Wiener filter; EDM is
  the same with one standard deviation for all. The others predict a quantity of
  a noise process in its own coordinate: eps of the linear variance-preserving
  process, v of the cosine one, the score of the variance-exploding one, the
  velocity of the linear flow.
  """

  WIENER = 'wiener'
  EDM = 'edm'
  VP_EPS = 'vp_eps'
  VP_V = 'vp_v'
  VE_SCORE = 've_score'
  FLOW = 'flow'

  def coefficients(self, sigma: Array, stddev: Array) -> Coefficients:
    """The coefficients of D(x) = c_skip x + c_out F(c_in x, c_noise).

    Args:
      sigma: Noise levels, [B].
      stddev: Standard deviations of the data's components, [B, D] or [1, D].
    """
    of_process = preconditioning.process_coefficients
    match self:
      case Parametrization.WIENER:
        return preconditioning.edm_coefficients(sigma, stddev)
      case Parametrization.EDM:
        rms = jnp.sqrt(jnp.mean(stddev**2, axis=-1, keepdims=True))
        return preconditioning.edm_coefficients(sigma, rms)
      case Parametrization.VP_EPS:
        process = processes.vp_linear_process()
        return of_process(sigma, process, predictions.eps_to_x0)
      case Parametrization.VP_V:
        process = processes.vp_cosine_process()
        return of_process(sigma, process, predictions.v_to_x0)
      case Parametrization.VE_SCORE:
        process = processes.ve_process()
        return of_process(sigma, process, predictions.score_to_x0)
      case Parametrization.FLOW:
        process = processes.flow_process()
        return of_process(sigma, process, predictions.velocity_to_x0)
