"""Steps of half-quadratic splitting: explain the measurements, then remove noise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import torch
from torch import Tensor

from wellposed.core.arguments import check_callable
from wellposed.core.names import check_name
from wellposed.core.tree import Tree
from wellposed.models.unrolled.numbers import Numbers, Positive
from wellposed.models.unrolled.step import LearnedStep, Start, first_image, in_kind
from wellposed.optim import DPIR, HQS, LeastSquares, PlugAndPlay, noise_levels
from wellposed.optim.half_quadratic import split_step
from wellposed.physics import Physics
from wellposed.solvers import CG

__all__ = ["DPIRStep", "HQSStep"]

_DATA_STEP = CG(tolerance=1e-3, max_steps=50)
_LEAST_NOISE = 1e-3


@final
class HQSStep(LearnedStep):
    r"""The step of `HQS`, with a denoiser, its level and the weight of the measurements to be trained.

    .. math:: x^+ = D\big(\arg\min_u \tfrac{\gamma}{2} \|A u - y\|^2 + \tfrac12 \|u - x\|^2,\ \sigma\big)

    Parameters
    ----------
    denoiser : callable
        `denoiser(x, sigma)`.
    gamma : float or sequence of float
        The weight of the measurements.
    sigma : float or sequence of float
        What the denoiser is told, in the unit of the image.
    start : {"adjoint", "smooth", "zero"}
        Where to start.

    Raises
    ------
    ArgumentError
        If a number is not positive, or the denoiser is no function.
    UnknownNameError
        If there is no such start.

    References
    ----------
    Geman and Yang, *Nonlinear image recovery with half-quadratic regularization*, IEEE Trans. Image Processing 4
    (1995). Zhang, Van Gool, Timofte, *Deep unfolding network for image super-resolution*, CVPR 2020, arXiv:2003.10428.
    """

    def __init__(
        self,
        denoiser: Callable[[Tensor, Tensor], Tensor],
        *,
        gamma: Numbers = 1.0,
        sigma: Numbers = 0.05,
        start: Start = "adjoint",
    ) -> None:
        super().__init__()
        check_callable("HQSStep", "the denoiser", denoiser)
        check_name("start", start, ("adjoint", "smooth", "zero"))
        self.denoiser, self.gamma, self.sigma, self.start = denoiser, gamma, sigma, start
        self.weights, self.levels = Positive("gamma", gamma), Positive("sigma", sigma)

    def pose(self, y: Tree, physics: Physics) -> tuple[LeastSquares, Any]:
        """Return the data fidelity and the first state."""
        data = LeastSquares(physics.linear_operator, y)
        problem = PlugAndPlay(data, self.denoiser)
        return data, HQS(gamma=1.0, sigma=1.0).init(problem, first_image(data, self.start))

    def step(self, problem: LeastSquares, state: Any, index: int) -> Any:
        """Take the step."""
        ones = torch.ones_like(state.change)
        gamma, sigma = self.weights(index) * ones, self.levels(index) * ones
        posed = PlugAndPlay(problem, in_kind(self.denoiser))
        return state._replace(x=split_step(posed, state.x, gamma=gamma, sigma=sigma, active=state.active))


@final
class DPIRStep(LearnedStep):
    r"""The step of `DPIR` on its published schedule, whose levels and trade-offs are then trained.

    .. math::
        u &= \arg\min_u \|A u - y\|^2 + \lambda_k \frac{s^2}{\sigma_k^2} \|u - x\|^2 \\
        x^+ &= D(u,\ \rho_k \sigma_k)

    The levels :math:`\sigma_k` fall from 49/255 of white to the noise level of the image. One network serves all noise
    levels: trained are :math:`\lambda_k` and the factors :math:`\rho_k`. Starts are `smooth_start`. Untrained it is the
    method "dpir" of `wellposed.reconstruct` with this denoiser.

    Parameters
    ----------
    denoiser : callable
        `denoiser(x, sigma)`.
    n_iter : int
        The length of the schedule: `n_iter` of `Unrolled`.
    trade_off : float or sequence of float
        The weights lambda.
    level : float or sequence of float
        The factors rho.

    Raises
    ------
    ArgumentError
        If a number is not positive, or the denoiser is no function.

    References
    ----------
    Zhang, Li, Zuo, Zhang, Van Gool, Timofte, *Plug-and-play image restoration with deep denoiser prior*, IEEE Trans.
    PAMI 44 (2022), arXiv:2008.13751. Terris, Hurault, Song, Tachella, *Reconstruct Anything Model*, 2025,
    arXiv:2503.08915, section 5.1 (uDPIR).
    """

    def __init__(
        self,
        denoiser: Callable[[Tensor, Tensor], Tensor],
        n_iter: int = 8,
        *,
        trade_off: Numbers = 0.23,
        level: Numbers = 1.0,
    ) -> None:
        super().__init__()
        check_callable("DPIRStep", "the denoiser", denoiser)
        self.denoiser, self.n_iter, self.trade_off, self.level = denoiser, n_iter, trade_off, level
        self.trade_offs, self.levels = Positive("trade_off", trade_off), Positive("level", level)
        self._method = DPIR(max_steps=n_iter)
        self.stationary = False

    def pose(self, y: Tree, physics: Physics) -> tuple[LeastSquares, Any]:
        """Return the data fidelity, and the first state with the schedule that the noise calls for."""
        data = LeastSquares(physics.linear_operator, y, solver=_DATA_STEP)
        start = first_image(data, "smooth")
        white = start.abs().flatten(1).amax(1)
        white = torch.where(white > 0, white, 1)
        size = torch.where(data.operator_norm > 0, data.operator_norm, 1)
        noise = torch.maximum(noise_levels(y, physics).measurements, _LEAST_NOISE * size * white)
        problem = PlugAndPlay(data, in_kind(self.denoiser))
        return data, self._method.init(problem, start, noise=noise, last=noise / size, peak=white)

    def step(self, problem: LeastSquares, state: Any, index: int) -> Any:
        """Take the step at its place in the schedule."""
        state = state._replace(step=index)
        sigma = self._method.sigma(state)
        gamma = (sigma / state.noise).square() / self.trade_offs(index)
        x = split_step(
            PlugAndPlay(problem, in_kind(self.denoiser)),
            state.x,
            gamma=gamma,
            sigma=self.levels(index) * sigma,
            active=state.active,
        )
        return state._replace(x=x)
