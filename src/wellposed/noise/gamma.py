"""Multiplicative speckle of coherent imaging."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from wellposed.noise.base import ElementwiseNoise

__all__ = ["Gamma"]


@final
class Gamma(ElementwiseNoise):
    r"""Multiply by speckle, as an intensity image of radar or ultrasound averaged over L looks.

    .. math:: y = \bar y\, s, \qquad s \sim \mathrm{Gamma}(L, 1/L), \qquad
        E[y] = \bar y, \quad \mathrm{Var}[y] = \bar y^2 / L

    Differentiable in the measurements and in `looks`.

    Parameters
    ----------
    looks : Tensor or float
        L, the equivalent number of looks; above zero, not necessarily whole. A number, one value per image (B,), or a
        map.

    Raises
    ------
    ArgumentError
        If `looks` is not positive and finite.

    References
    ----------
    Goodman, *Speckle Phenomena in Optics*, 2nd ed., SPIE 2020, doi:10.1117/3.2548484.

    Examples
    --------
    >>> import torch
    >>> Gamma(looks=4).variance(torch.tensor([[3.0]]))
    tensor([[2.2500]])
    """

    looks: Tensor

    def __init__(self, looks: Tensor | float) -> None:
        super().__init__()
        self._register("looks", looks, above=0)

    def _sample(self, clean: Tensor, generator: torch.Generator | None) -> Tensor:
        looks = self._fitted("looks", clean)
        device = clean.device if generator is None else generator.device
        speckle = torch._standard_gamma(looks.expand(clean.shape).to(device), generator=generator).to(clean.device)
        return clean * speckle / looks

    def _mean(self, clean: Tensor) -> Tensor:
        return clean

    def _variance(self, clean: Tensor) -> Tensor:
        return clean.square() / self._fitted("looks", clean)

    def _variance_gain(self, like: Tensor) -> Tensor:
        return 1 + 1 / self._fitted("looks", like)
