"""Total variation: the sum of the lengths of the gradient, small for images made of smooth or flat regions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import cast

from torch import Tensor

from wellposed.operators import FiniteDifferences
from wellposed.optim.dual_prox import DualDescent, ProximalStep
from wellposed.optim.functional import Functional, step_like
from wellposed.optim.norms import GroupNorm, L1Norm
from wellposed.solvers import run

__all__ = ["TotalVariation"]

_DESCENT = DualDescent()


@dataclass(frozen=True)
class TotalVariation(Functional):
    r"""Total variation, isotropic with edges shared by the channels, or anisotropic.

    .. math:: g(x) = \sum_i \Big( \sum_{a, c} |(D x)_{a, c, i}|^2 \Big)^{1/2}
        \qquad\text{or}\qquad \sum_{a, c, i} |(D x)_{a, c, i}|

    In the first, directions and channels are gathered under one root, so that rotating the image or mixing its colours
    leaves the value as it is; the second prefers edges along the axes.

    Parameters
    ----------
    image_shape : tuple of int, (C, H, W) or (C, D, H, W)
    isotropic : bool
    descent : DualDescent
        How `prox` is computed; it takes what it has after `max_steps`.

    References
    ----------
    Rudin, Osher, Fatemi, Physica D 60 (1992). Blomgren and Chan, *Color TV*, IEEE TIP 7 (1998). Condat, *Discrete total
    variation: new definition and minimization*, SIAM J. Imaging Sci. 10 (2017).

    Examples
    --------
    >>> import torch
    >>> step = torch.zeros(1, 1, 4, 4)
    >>> step[..., 2:] = 1
    >>> TotalVariation((1, 4, 4)).value(step).item()
    4.0
    """

    image_shape: tuple[int, ...]
    isotropic: bool = True
    descent: DualDescent = _DESCENT

    @cached_property
    def operator(self) -> FiniteDifferences:
        """The linear part D, of which the value is a norm."""
        return FiniteDifferences(self.image_shape)

    @cached_property
    def functional(self) -> GroupNorm | L1Norm:
        """The norm."""
        return GroupNorm((1, 2)) if self.isotropic else L1Norm()

    def value(self, x: Tensor) -> Tensor:
        """Return g of each image, shape (B,)."""
        return self.functional.value(cast("Tensor", self.operator(x)))

    def prox(self, z: Tensor, gamma: float | Tensor) -> Tensor:
        """Return the minimiser of gamma g(x) + 1/2 ||x - z||^2, by descent on its dual."""
        problem = ProximalStep(self.functional, self.operator, z, step_like(gamma, z).flatten())
        return cast("Tensor", run(self.descent, problem, self.descent.init(problem), check_every=10, throw=False).value)
