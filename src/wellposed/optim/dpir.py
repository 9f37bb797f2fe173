"""DPIR: half-quadratic splitting whose denoiser goes from strong to weak in a few steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from wellposed.core.arguments import check_whole
from wellposed.core.errors import ArgumentError
from wellposed.optim.half_quadratic import PlugAndPlay, split_step
from wellposed.optim.problem import Guarantee

__all__ = ["DPIR"]


class State(NamedTuple):
    """The denoised image, where in the schedule it is, and the bookkeeping of the driver; levels have shape (B,).

    `noise` is that of the measurements; the denoiser goes from `first` to `last`.
    """

    x: Tensor
    step: int
    noise: Tensor
    first: Tensor
    last: Tensor
    active: Tensor
    failure: Tensor


@dataclass(frozen=True)
class DPIR:
    r"""Plug-and-play restoration by a deep denoiser, on its published schedule.

    .. math::
        u &= \arg\min_u \|A u - y\|^2 + \lambda \frac{s^2}{\sigma_k^2} \|u - x\|^2 \\
        x^+ &= D(u, \sigma_k)

    with s the noise of the measurements, and :math:`\sigma_k` falling from `first` to the noise level of the image in
    equal steps of its logarithm.

    Parameters
    ----------
    max_steps : int
        How many steps: 8 for deblurring and denoising, 24 for super-resolution in the paper.
    first : float
        The first level of the denoiser, for images in [0, 1]; never below the last one.
    trade_off : float
        The weight lambda of the prior.

    Raises
    ------
    ArgumentError
        If one of them is not positive.

    References
    ----------
    Zhang, Li, Zuo, Zhang, Van Gool, Timofte, *Plug-and-play image restoration with deep denoiser prior*, IEEE Trans.
    PAMI 44 (2022), arXiv:2008.13751, section 4.

    Examples
    --------
    >>> from wellposed.operators import Identity
    >>> from wellposed.optim import LeastSquares
    >>> from wellposed.solvers import run
    >>> problem = PlugAndPlay(LeastSquares(Identity(), torch.ones(1, 1, 2, 2)), lambda x, sigma: x)
    >>> method = DPIR()
    >>> state = method.init(problem, torch.zeros(1, 1, 2, 2), noise=torch.tensor([0.05]))
    >>> [round(float(method.sigma(state._replace(step=step))), 3) for step in range(8)]
    [0.192, 0.159, 0.131, 0.108, 0.089, 0.073, 0.061, 0.05]
    """

    max_steps: int = 8
    first: float = 49 / 255
    trade_off: float = 0.23

    def __post_init__(self) -> None:
        check_whole("DPIR", "max_steps", self.max_steps, least=1)
        for name in ("first", "trade_off"):
            if not getattr(self, name) > 0:
                raise ArgumentError(f"DPIR expects a positive {name}, got {getattr(self, name)}.")

    def init(
        self,
        _problem: PlugAndPlay,
        x0: Tensor,
        *,
        noise: Tensor,
        last: Tensor | None = None,
        peak: Tensor | float = 1.0,
    ) -> State:
        """Start from an image.

        Parameters
        ----------
        x0 : Tensor, shape (B, C, H, W)
        noise : Tensor, shape (B,) or (1,)
            Standard deviation of the noise in the measurements, above zero.
        last : Tensor, shape (B,) or (1,), optional
            The last level of the denoiser, in the unit of the image; by default `noise`, as for operators of norm one.
        peak : Tensor or float, shape (B,) or (1,)
            The value of white, which `first` is relative to.

        Raises
        ------
        ArgumentError
            If a level is not positive.
        """
        noise = noise.to(x0.real.dtype).expand(len(x0))
        last = noise if last is None else last.to(noise).expand(len(x0))
        if not bool(((noise > 0) & (last > 0)).all()):
            raise ArgumentError("DPIR expects noise levels above zero: give noiseless measurements a small one.")
        return State(
            x=x0,
            step=0,
            noise=noise,
            first=torch.maximum(self.first * torch.as_tensor(peak, dtype=noise.dtype, device=noise.device), last),
            last=last,
            active=torch.ones_like(noise, dtype=torch.bool),
            failure=torch.zeros_like(noise, dtype=torch.int64),
        )

    def step(self, problem: PlugAndPlay, state: State) -> State:
        """Take one step; beyond the schedule the level stays the last one."""
        sigma = self.sigma(state)
        gamma = (sigma / state.noise).square() / self.trade_off
        x = split_step(problem, state.x, gamma=gamma, sigma=sigma, active=state.active)
        return state._replace(x=x, step=state.step + 1)

    def provably_convergent(self, _problem: PlugAndPlay) -> Guarantee:
        """Tell whether the iterates are proven to converge: there is a schedule, and no limit."""
        return Guarantee(
            holds=False, reason="A schedule of so many steps has an end and no limit: HQS keeps its level."
        )

    def sigma(self, state: State) -> Tensor:
        """Return the level of the denoiser in the coming step, shape (B,)."""
        done = min(state.step / (self.max_steps - 1), 1.0) if self.max_steps > 1 else 1.0
        return state.first * (state.last / state.first) ** done
