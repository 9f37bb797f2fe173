"""Total generalised variation of second order: edges are few, and between them the image is smooth, not flat."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from wellposed.core.errors import ArgumentError
from wellposed.core.shapes import fixed_shape
from wellposed.core.tree import norm, per_image
from wellposed.operators import FiniteDifferences
from wellposed.optim._joint_fields import Bending, ImagePart, SlopeMisfit, join, valid_slopes
from wellposed.optim.composite import Composite
from wellposed.optim.data_fidelity import LeastSquares
from wellposed.optim.functional import Functional, step_like
from wellposed.optim.norms import GroupNorm
from wellposed.optim.primal_dual import PrimalDual
from wellposed.optim.problem import RegularisedProblem, Term
from wellposed.solvers import run

__all__ = ["TotalGeneralisedVariation"]

_METHOD = PrimalDual(tolerance=1e-5, max_steps=1000)


@dataclass(frozen=True)
class TotalGeneralisedVariation(Functional):
    r"""Total generalised variation of second order, whose edges the channels share.

    .. math:: g(x) = \min_w \sum_i \|(D x - w)_i\| + \beta \sum_i \|(E w)_i\|

    with D the differences of neighbouring pixels and E the symmetric derivative of the slopes w. It is zero for images
    that are affine, where `TotalVariation` would turn ramps into stairs.

    Value and proximal step are inner minimisations over the slopes. Whole problems are solved faster over image and
    slopes at once: `joint` makes such a problem of one in which this is a term, for `PrimalDual`.

    Parameters
    ----------
    image_shape : tuple of int, (C, H, W) or (C, D, H, W)
    bending : float
        The factor beta: the larger, the more it is like total variation; 2 is usual.
    method : PrimalDual
        How value and `prox` are computed; they take what it has after `max_steps`.

    Raises
    ------
    ArgumentError
        If `bending` is not positive.

    References
    ----------
    Bredies, Kunisch, Pock, *Total generalized variation*, SIAM J. Imaging Sci. 3 (2010).

    Examples
    --------
    >>> ramp = torch.arange(4.0).expand(1, 1, 4, 4)
    >>> round(TotalGeneralisedVariation((1, 4, 4)).value(ramp).item(), 3)
    0.0
    """

    image_shape: tuple[int, ...]
    bending: float = 2.0
    method: PrimalDual = _METHOD

    def __post_init__(self) -> None:
        fixed_shape("TotalGeneralisedVariation", self.image_shape)
        if not self.bending > 0:
            raise ArgumentError(f"TotalGeneralisedVariation expects a positive bending, got {self.bending}.")

    def value(self, x: Tensor) -> Tensor:
        """Return g of each image, shape (B,), from above: at the slopes that the method finds."""
        size = norm(x) / x[0].numel() ** 0.5
        unit = x / per_image(torch.where(size > 0, size, 1), x)
        problem = RegularisedProblem(_Held(unit), *self.terms())
        found: Any = self._run(problem, self.start(unit))
        return size * torch.stack([term.value(found) for term in self.terms()]).sum(0)

    def prox(self, z: Tensor, gamma: float | Tensor) -> Tensor:
        """Return the minimiser of gamma g(x) + 1/2 ||x - z||^2, by the primal-dual method over image and slopes."""
        weight = step_like(gamma, z).flatten()
        problem = RegularisedProblem(LeastSquares(self.image_part, z), *self.terms(weight))
        return self.image(self._run(problem, self.start(z)))

    def joint(self, problem: RegularisedProblem) -> RegularisedProblem:
        """Return a problem over images joined with their slopes, equal to one over images that this is a term of.

        It starts from `start(x0)`, and `image` takes the image out of what it gives.

        Raises
        ------
        ArgumentError
            Unless this is exactly one of its terms.
        """
        own = [term for term in problem.terms if term.prior is self]
        if len(own) != 1:
            raise ArgumentError(f"joint expects a problem with this prior as one of its terms, got {len(own)} such.")
        data = None if problem.data is None else self._of_joint(problem.data)
        others = [replace(term, prior=self._of_joint(term.prior)) for term in problem.terms if term is not own[0]]
        return RegularisedProblem(data, *self.terms(own[0].weight), *others)

    def start(self, x: Tensor) -> Tensor:
        """Return an image joined with its slopes, (B, 1 + d, C, *space)."""
        differences: Any = FiniteDifferences(self.image_shape)(x)
        return join(x, valid_slopes(self.image_shape, x) * differences)

    def image(self, joint: Tensor) -> Tensor:
        """Return the image that was joined with its slopes, (B, C, *space)."""
        return joint[:, 0]

    def terms(self, weight: Tensor | float = 1.0) -> tuple[Term, Term]:
        """Return the two terms of g over images joined with their slopes."""
        misfit = Composite(GroupNorm((1, 2)), SlopeMisfit(self.image_shape))
        bending = Composite(GroupNorm((1, 2, 3)), Bending(self.image_shape))
        return Term(misfit, weight), Term(bending, self.bending * weight)

    @cached_property
    def image_part(self) -> ImagePart:
        """The operator that takes the image out."""
        return ImagePart(self.image_shape)

    def _of_joint(self, functional: Functional) -> Functional:
        """Return a function of images as one of images joined with their slopes."""
        outer: Any = functional
        if isinstance(functional, LeastSquares):
            return LeastSquares(functional.operator @ self.image_part, functional.y, functional.solver)
        if getattr(functional, "operator", None) is None:
            return Composite(functional, self.image_part)
        return Composite(outer.functional, outer.operator @ self.image_part)

    def _run(self, problem: RegularisedProblem, start: Tensor) -> Tensor:
        state = self.method.init(problem, start)
        value: Any = run(self.method, problem, state, check_every=10, throw=False).value
        return value


@dataclass(frozen=True)
class _Held(Functional):
    """Zero for one image, whatever the slopes, and infinite for all others."""

    x: Tensor

    def value(self, x: Tensor) -> Tensor:
        return torch.where((x[:, 0] == self.x).flatten(1).all(1), 0.0, torch.inf)

    def prox(self, z: Tensor, gamma: float | Tensor) -> Tensor:  # noqa: ARG002
        return join(self.x, z[:, 1:])
