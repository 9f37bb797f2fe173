"""Numbers that can be trained and keep their bounds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn

from wellposed.core.errors import ArgumentError

__all__ = ["Fraction", "Numbers", "Positive"]

Numbers: TypeAlias = float | Sequence[float]
"""One number for all steps, or one for each."""


class Positive(nn.Module):
    r"""Positive numbers that can be trained, one for all steps or one for each.

    .. math:: v_k = v_k^{(0)}\, e^{\theta_k}

    The exponents start at zero, so that an untrained number is exactly what it was set to, in any precision.

    Parameters
    ----------
    name : str
        What it is, for the error.
    values : float or sequence of float

    Raises
    ------
    ArgumentError
        If there is none, or one is not positive and finite.

    Examples
    --------
    >>> step_sizes = Positive("step_ratio", (0.5, 1.5))
    >>> [step_sizes(index).item() for index in (0, 1)]
    [0.5, 1.5]
    """

    def __init__(self, name: str, values: Numbers) -> None:
        super().__init__()
        listed = tuple(float(value) for value in values) if isinstance(values, Sequence) else (float(values),)
        if not listed or not all(value > 0 and math.isfinite(value) for value in listed):
            raise ArgumentError(f"{name} must be a positive number, or one for each step, got {values!r}.")
        self.name, self.initial = name, listed
        self.exponent = nn.Parameter(torch.zeros(len(listed)))

    def forward(self, index: int) -> Tensor:
        """Return the number of a step, shape (1,)."""
        place = 0 if len(self.initial) == 1 else index
        return self.initial[place] * self.exponent[place : place + 1].exp()

    def keep(self, index: int) -> None:
        """Forget the numbers of all other steps."""
        place = 0 if len(self.initial) == 1 else index
        self.initial = self.initial[place : place + 1]
        self.exponent = nn.Parameter(self.exponent.detach()[place : place + 1].clone())


class Fraction(nn.Module):
    r"""A number between 0 and 1 that can be trained.

    .. math:: v = \frac{v^{(0)} e^\theta}{1 - v^{(0)} + v^{(0)} e^\theta}

    Parameters
    ----------
    name : str
        What it is, for the error.
    value : float

    Raises
    ------
    ArgumentError
        If it is not between 0 and 1.
    """

    def __init__(self, name: str, value: float) -> None:
        super().__init__()
        if not 0 < value < 1:
            raise ArgumentError(f"{name} must be a number between 0 and 1, got {value!r}.")
        self.initial = float(value)
        self.exponent = nn.Parameter(torch.zeros(1))

    def forward(self) -> Tensor:
        """Return the number, shape (1,)."""
        odds = self.initial * self.exponent.exp()
        return odds / (1 - self.initial + odds)
