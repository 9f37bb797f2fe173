"""Lagrange multipliers, which climb while the weights of the network descend."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from wellposed.core.errors import ArgumentError
from wellposed.losses.companion import Companion

__all__ = ["Multipliers"]


@final
class Multipliers(Companion):
    r"""Numbers by which a loss weights its constraints, learnt by gradient ascent with momentum.

    .. math:: v \leftarrow \mu v + \frac{\partial \ell}{\partial \eta}, \qquad \eta \leftarrow \eta + \rho v

    Parameters
    ----------
    start : Tensor
        The first value of :math:`\eta`.
    rate : float or Tensor
        :math:`\rho`, in the square of the unit of the measurements; of each number, or one for all.
    momentum : float
        :math:`\mu`.
    least : float, optional
        A bound below which no number falls.

    Raises
    ------
    ArgumentError
        If the rate is not above 0, or the momentum not of at least 0 and below 1.

    Examples
    --------
    >>> multipliers = Multipliers(torch.zeros(1), rate=0.5, momentum=0.0)
    >>> (3 * multipliers.value).sum().backward()
    >>> multipliers.step()
    >>> multipliers.value.item()
    1.5
    """

    rate: Tensor
    velocity: Tensor

    def __init__(self, start: Tensor, *, rate: float | Tensor, momentum: float, least: float | None = None) -> None:
        super().__init__()
        rates = torch.as_tensor(rate)
        if not bool(((rates > 0) & torch.isfinite(rates)).all()):
            raise ArgumentError(f"Multipliers expects a finite rate above 0, got {rate!r}.")
        if not 0 <= momentum < 1:
            raise ArgumentError(f"Multipliers expects a momentum of at least 0 and below 1, got {momentum!r}.")
        self.momentum, self.least = momentum, least
        self.value = nn.Parameter(start.clone())
        self.register_buffer("velocity", torch.zeros_like(start))
        self.register_buffer("rate", rates.to(start), persistent=False)

    @torch.no_grad()
    def step(self, *, unless: Tensor | None = None) -> None:
        """Take a step along the gradient."""
        gradient = self.value.grad
        if gradient is None:
            return
        velocity = self.momentum * self.velocity + gradient
        value = self.value + self.rate * velocity
        if self.least is not None:
            value = value.clamp_min(self.least)
        if unless is not None:
            velocity, value = torch.where(unless, self.velocity, velocity), torch.where(unless, self.value, value)
        self.velocity.copy_(velocity)
        self.value.copy_(value)
        self.value.grad = None
