"""Smooth elastic deformations with a smooth inverse."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from wellposed.core.arguments import check_whole
from wellposed.core.errors import ArgumentError
from wellposed.core.precision import in_own_precision
from wellposed.core.rng import normal_like
from wellposed.transforms._warp import Border, Interpolation, Points, Warp, check_resampling
from wellposed.transforms.base import Motion, Transform, uniform

__all__ = ["Diffeomorphism"]

_STEPS = 8


@final
@dataclass(frozen=True)
class Diffeomorphism(Transform):
    r"""Deform images by a smooth flow that leaves their borders where they are.

    .. math:: (T x)(p) = x(\varphi_1(p)), \qquad \dot\varphi_t = v(\varphi_t), \quad \varphi_0 = \mathrm{id}, \qquad
        v(p) = \sum_{m, n = 1}^{M} \frac{s\, c_{mn}}{m^2 + n^2} \sin(\pi m p_1) \sin(\pi n p_2),
        \quad c_{mn} \sim \mathcal N(0, I)

    with the image as the unit square in the sines. The flow of :math:`-v` is the inverse; both are integrated by
    Runge-Kutta steps of fourth order.

    Parameters
    ----------
    strength : float
        s, in halves of the longer side; above 0. Points move by about a third of it.
    modes : int
        M; more of them make finer ripples.
    border : {"reflection", "border", "zeros"}
        What lies beyond the image, within half a pixel.
    interpolation : {"bilinear", "bicubic", "nearest"}
    per_image : bool

    Raises
    ------
    ArgumentError
        If the strength is not above 0, or `modes` no whole number above 0.
    UnknownNameError
        If there is no such border or interpolation.

    References
    ----------
    Arsigny, Commowick, Pennec, Ayache, *A log-Euclidean framework for statistics on diffeomorphisms*, MICCAI 2006,
    doi:10.1007/11866565_113.

    Examples
    --------
    >>> Diffeomorphism()(torch.ones(1, 1, 8, 8)).mean()
    tensor(1.)
    """

    strength: float = 0.3
    modes: int = 3
    border: Border = "reflection"
    interpolation: Interpolation = "bilinear"

    def __post_init__(self) -> None:
        if not 0 < self.strength < math.inf:
            raise ArgumentError(f"Diffeomorphism expects a finite strength above 0, got {self.strength!r}.")
        check_whole("Diffeomorphism", "modes", self.modes, least=1)
        check_resampling(self.border, self.interpolation)

    @property
    def exact(self) -> bool:
        """False: images are interpolated."""
        return False

    def _draw(self, x: Tensor, count: int, generator: torch.Generator | None) -> Motion:
        like = uniform(x, count, self.modes, self.modes, 2, generator=generator)
        mode = torch.arange(1, self.modes + 1, dtype=like.dtype, device=x.device)
        decay = (mode[:, None].square() + mode.square())[..., None]
        coefficients = self.strength * normal_like(like, generator) / decay
        sides = torch.tensor(x.shape[:-3:-1], dtype=like.dtype, device=x.device)
        forward, backward = (_flow(sign * coefficients, mode, sides / sides.max()) for sign in (1, -1))
        return Warp(forward, backward, self.border, self.interpolation)


def _flow(coefficients: Tensor, mode: Tensor, extent: Tensor) -> Points:
    """Return the map of points after unit time."""

    @in_own_precision
    def velocity(points: Tensor) -> Tensor:
        waves = (math.pi / 2 * (points / extent + 1)[..., None] * mode).sin()
        return torch.einsum("bhwm,bhwn,bmnd->bhwd", waves[..., 0, :], waves[..., 1, :], coefficients)

    def flow(points: Tensor) -> Tensor:
        points, step = points.expand(max(len(points), len(coefficients)), -1, -1, -1), 1 / _STEPS
        for _ in range(_STEPS):
            one = velocity(points)
            two = velocity(points + step / 2 * one)
            three = velocity(points + step / 2 * two)
            four = velocity(points + step * three)
            points = points + step / 6 * (one + 2 * two + 2 * three + four)
        return points

    return flow
