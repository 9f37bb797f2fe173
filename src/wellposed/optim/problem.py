"""What is minimised: a data fidelity and any number of priors, each with its weight."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from wellposed.core.errors import ArgumentError, UnsupportedError
from wellposed.operators import LinearOperator
from wellposed.optim.functional import Functional, step_like

__all__ = ["Guarantee", "RegularisedProblem", "Term"]


@dataclass(frozen=True)
class Term:
    r"""A weighted prior, :math:`\lambda\, g(x)`.

    Parameters
    ----------
    prior : Functional
    weight : Tensor or float, shape (1,) or (B,)
        The weight lambda of each image, at least zero.

    Raises
    ------
    ArgumentError
        If the prior is none, or a number is negative.
    """

    prior: Functional
    weight: Tensor | float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.prior, Functional):
            raise ArgumentError(f"Term expects a prior such as L1Norm(), got {type(self.prior).__name__}.")
        if not isinstance(self.weight, Tensor) and not self.weight >= 0:
            raise ArgumentError(f"Term expects a weight of at least zero, got {self.weight}.")

    @property
    def operator(self) -> LinearOperator | None:
        """The operator C of a prior g(C x), if it has one."""
        return getattr(self.prior, "operator", None)

    @property
    def functional(self) -> Functional:
        """The function g of a prior g(C x); the prior itself where there is no C."""
        return self.prior if self.operator is None else cast("Any", self.prior).functional

    def transformed(self, x: Tensor) -> Any:
        """Return C x."""
        return x if self.operator is None else self.operator(x)

    def adjoint(self, u: Any) -> Any:
        """Return C^H u."""
        return u if self.operator is None else self.operator.adjoint(u)

    def squared_norm(self, like: Tensor) -> Tensor:
        """Return the squared norm of C, shape (1,) or (B,)."""
        if self.operator is None:
            return like.real.new_ones(1)
        margin = 1 if self.operator.has_closed_form("norm") else 1 + 2e-3
        return margin * self.operator.norm().to(like.real).square()

    def weights(self, like: Tensor) -> Tensor:
        """Return the weight, shape (1,) or (B,), in the precision and place of the images."""
        return step_like(self.weight, like).flatten()

    def value(self, x: Tensor) -> Tensor:
        """Return the weighted value for each image, shape (B,)."""
        return self.weights(x) * self.prior.value(x)

    def gradient(self, x: Tensor) -> Tensor:
        """Return the weighted gradient."""
        return step_like(self.weight, x) * self.prior.gradient(x)

    def lipschitz(self, like: Tensor) -> Tensor:
        """Return the weighted Lipschitz constant, shape (1,) or (B,)."""
        return self.weights(like) * self.prior.lipschitz().to(like.real)

    def prox(self, z: Tensor, gamma: Tensor) -> Tensor:
        """Return the minimiser of gamma lambda g(x) + 1/2 ||x - z||^2."""
        return self.prior.prox(z, gamma * self.weights(z))


class Split(NamedTuple):
    """The terms of a problem by what is done with them.

    Those with a gradient whose Lipschitz constant is finite; the first of the others that has a proximal step and no
    operator; and the rest, whose operators are taken apart.
    """

    smooth: tuple[Term, ...]
    direct: Term | None
    dualised: tuple[Term, ...]


@dataclass(frozen=True, init=False)
class RegularisedProblem:
    r"""Minimise :math:`f(x) + \sum_i \lambda_i\, g_i(C_i x)` over the image, each one of the batch by itself.

    Parameters
    ----------
    data : Functional or None
        The data fidelity f; None for priors alone.
    *terms : Term
        The priors with their weights.

    Examples
    --------
    >>> from wellposed.operators import Identity
    >>> from wellposed.optim import L1Norm, LeastSquares, SquaredNorm
    >>> y = torch.full((1, 1, 2, 2), 3.0)
    >>> problem = RegularisedProblem(LeastSquares(Identity(), y), Term(L1Norm(), 0.5), Term(SquaredNorm(), 1.0))
    >>> problem.value(torch.ones(1, 1, 2, 2)).item()
    12.0
    """

    data: Functional | None
    terms: tuple[Term, ...]

    def __init__(self, data: Functional | None, *terms: Term) -> None:
        if data is not None and not isinstance(data, Functional):
            raise ArgumentError(f"RegularisedProblem expects a data fidelity, got {type(data).__name__}.")
        for term in terms:
            if not isinstance(term, Term):
                raise ArgumentError(
                    f"RegularisedProblem expects terms, Term(prior, weight), got {type(term).__name__}."
                )
        object.__setattr__(self, "data", data)
        object.__setattr__(self, "terms", terms)

    def value(self, x: Tensor) -> Tensor:
        """Return the objective of each image, shape (B,)."""
        parts = [] if self.data is None else [self.data.value(x)]
        return torch.stack([x.real.new_zeros(len(x)), *parts, *(term.value(x) for term in self.terms)]).sum(0)

    @property
    def all_terms(self) -> tuple[Term, ...]:
        """Every term, the data fidelity first, with a weight of one."""
        return self.terms if self.data is None else (Term(self.data), *self.terms)

    @cached_property
    def split(self) -> Split:
        """The terms by what first-order methods do with them.

        Raises
        ------
        UnsupportedError
            If a part has neither a gradient nor a proximal step.
        """
        smooth, direct, dualised = [], None, []
        for term in self.all_terms:
            if _is_smooth(term):
                smooth.append(term)
            elif direct is None and term.prior.has("prox") and term.operator is None:
                direct = term
            elif term.functional.has("prox"):
                dualised.append(term)
            else:
                raise UnsupportedError(f"{type(term.prior).__name__} has neither a gradient nor a proximal step.")
        return Split(tuple(smooth), direct, tuple(dualised))

    @property
    def convex(self) -> bool:
        """Whether every part is."""
        return all(term.prior.convex for term in self.all_terms)


@dataclass(frozen=True)
class Guarantee:
    """Whether a method is proven to converge on a problem, and why or why not.

    Parameters
    ----------
    holds : bool
    reason : str
    """

    holds: bool
    reason: str

    def __bool__(self) -> bool:
        """Tell whether it holds."""
        return self.holds


def _is_smooth(term: Term) -> bool:
    if not term.prior.has("gradient"):
        return False
    return not term.functional.has("prox") or bool(torch.isfinite(term.prior.lipschitz()).all())
