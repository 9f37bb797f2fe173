"""Smooth synthetic phase, which makes a magnitude image complex, as coils and motion do in magnetic resonance."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from wellposed.core.arguments import check_whole
from wellposed.core.complex_view import real_dtype
from wellposed.core.precision import in_own_precision
from wellposed.core.rng import normal_like, uniform_like
from wellposed.core.shapes import check_tree

__all__ = ["random_phase"]


@in_own_precision
def random_phase(x: Tensor, *, n_modes: int = 4, std: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
    r"""Give each image a smooth random phase.

    .. math:: x\, e^{i \varphi}, \qquad \varphi(u, v) = \varphi_0 + \sum_{0 < j + k,\; j, k < n} c_{jk}
        \cos(\pi j u) \cos(\pi k v), \qquad \varphi_0 \sim U(0, 2 \pi), \quad c_{jk} \sim \mathcal{N}(0, s_{jk}^2)

    with u and v from 0 to 1 across the image. The variances fall off as :math:`s_{jk}^2 \propto (j^2 + k^2)^{-1}` and
    make the mean square of the varying part `std` squared. All channels of an image have the same phase.

    Parameters
    ----------
    x : Tensor, shape (B, C, H, W), real
    n_modes : int
        Cosines along each axis: the shortest is n_modes - 1 half waves across the image. One: constant phases.
    std : float
        Root mean square of the varying part, in radians.
    generator : torch.Generator, optional

    Returns
    -------
    Tensor, shape (B, C, H, W), complex

    Raises
    ------
    ShapeError, DTypeError
        If `x` is no batch of real images.
    ArgumentError
        If `n_modes` is no whole number above zero.

    Examples
    --------
    >>> x = random_phase(torch.ones(2, 1, 8, 8), generator=torch.Generator().manual_seed(0))
    >>> x.dtype, x.abs().mean().round().item()
    (torch.complex64, 1.0)
    """
    check_tree("random_phase", "images", x, (None, None, None), "real")
    check_whole("random_phase", "n_modes", n_modes, least=1)
    constant = 2 * math.pi * uniform_like(x.new_empty(len(x)), generator)
    weight = _weights(n_modes, x)
    coefficients = std * weight * normal_like(x.new_empty(len(x), n_modes, n_modes), generator)
    rows, columns = (_cosines(n_modes, size, x) for size in x.shape[-2:])
    phase = rows.T @ coefficients @ columns + constant[:, None, None]
    return torch.polar(x.new_ones(()).expand_as(phase).contiguous(), phase)[:, None] * x


def _cosines(n_modes: int, size: int, like: Tensor) -> Tensor:
    """Return the cosines at the pixel centres, each of mean square one, shape (n_modes, size)."""
    mode = torch.arange(n_modes, dtype=real_dtype(like.dtype), device=like.device)
    place = (torch.arange(size, dtype=mode.dtype, device=like.device) + 0.5) / size
    wave = torch.cos(math.pi * mode[:, None] * place)
    return torch.where(mode[:, None] > 0, math.sqrt(2) * wave, wave)


def _weights(n_modes: int, like: Tensor) -> Tensor:
    """Return the standard deviation of each coefficient; their squares sum to one, and that of the constant is zero."""
    mode = torch.arange(n_modes, dtype=real_dtype(like.dtype), device=like.device)
    square = mode[:, None] ** 2 + mode**2
    variance = torch.where(square > 0, 1 / square.clamp_min(1), 0)
    return (variance / variance.sum().clamp_min(1e-12)).sqrt()
