"""Sets of projection angles, in radians."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from wellposed.core.arguments import check_whole
from wellposed.core.shapes import check_tensor

__all__ = ["degrees", "golden_angles", "limited_angles", "uniform_angles"]

_GOLDEN = math.pi * (math.sqrt(5) - 1) / 2


def uniform_angles(n: int, *, span: float = math.pi, start: float = 0.0) -> Tensor:
    """Return n angles that divide a span evenly, its end left out.

    Parameters
    ----------
    n : int
    span : float
        In radians: pi for parallel beams, which see the same lines from both sides, 2 pi for a full turn.
    start : float
        The first angle, in radians.

    Returns
    -------
    Tensor, shape (n,)

    Examples
    --------
    >>> uniform_angles(4) / math.pi
    tensor([0.0000, 0.2500, 0.5000, 0.7500])
    """
    check_whole("uniform_angles", "n", n, least=1)
    return start + span / n * torch.arange(n)


def golden_angles(n: int, *, start: float = 0.0) -> Tensor:
    """Return n angles, each the golden ratio of half a turn after the one before, modulo pi.

    However many of them are taken, they are spread almost evenly.

    Parameters
    ----------
    n : int
    start : float
        The first angle, in radians.

    Returns
    -------
    Tensor, shape (n,)

    References
    ----------
    Köhler, *A projection access scheme for iterative reconstruction based on the golden section*, IEEE Nuclear Science
    Symposium Conference Record (2004).

    Examples
    --------
    >>> golden_angles(3) / math.pi
    tensor([0.0000, 0.6180, 0.2361])
    """
    check_whole("golden_angles", "n", n, least=1)
    return ((start + _GOLDEN * torch.arange(n, dtype=torch.float64)) % math.pi).to(torch.get_default_dtype())


def limited_angles(n: int, *, span: float, centre: float = math.pi / 2) -> Tensor:
    """Return n angles that cover a span evenly, both its ends included, as a scanner that cannot turn further does.

    Parameters
    ----------
    n : int
        At least two.
    span : float
        In radians.
    centre : float
        The middle of the span, in radians.

    Returns
    -------
    Tensor, shape (n,)

    Examples
    --------
    >>> limited_angles(3, span=math.pi / 2) / math.pi
    tensor([0.2500, 0.5000, 0.7500])
    """
    check_whole("limited_angles", "n", n, least=2)
    return torch.linspace(centre - span / 2, centre + span / 2, n)


def degrees(angles: Tensor) -> Tensor:
    """Return angles given in degrees in radians.

    Examples
    --------
    >>> degrees(torch.tensor([0.0, 90.0]))
    tensor([0.0000, 1.5708])
    """
    check_tensor("degrees", "angles", angles)
    return angles.to(torch.promote_types(angles.dtype, torch.get_default_dtype())) * (math.pi / 180)
