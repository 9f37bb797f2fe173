"""The methods of emission and transmission tomography: SIRT, MLEM and OSEM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from wellposed.core.errors import ArgumentError, UnsupportedError
from wellposed.core.tree import Tree, tree_leaves, tree_map
from wellposed.operators import LinearOperator, Stack
from wellposed.optim.composite import Composite, StackedDistance
from wellposed.optim.data_fidelity import LeastSquares
from wellposed.optim.functional import step_like
from wellposed.optim.likelihoods import PoissonLikelihood
from wellposed.optim.problem import Guarantee, RegularisedProblem
from wellposed.optim.settling import blank, settle

__all__ = ["MLEM", "SIRT"]


class SIRTState(NamedTuple):
    """Image, the weights of rows and columns, and the bookkeeping of the driver."""

    x: Tensor
    rows: Tree
    columns: Tensor
    change: Tensor
    active: Tensor
    failure: Tensor


@dataclass(frozen=True)
class SIRT:
    r"""The simultaneous iterative reconstruction technique, for operators without negative numbers.

    .. math:: x^+ = x + \omega\, C A^T R (y - A x), \qquad R = 1 / A 1, \quad C = 1 / A^T 1

    It minimises the squared misfit weighted by R; stopped early, it is a regularisation.

    Parameters
    ----------
    max_steps : int
    tolerance : float or None
        Stop an image when it changes in a step by less than this, relative to its norm; None: take `max_steps` steps.
    relaxation : float
        The factor omega, between 0 and 2.
    nonnegative : bool
        Set negative pixels to zero after each step.

    Raises
    ------
    ArgumentError
        If `relaxation` is out of its bounds.

    References
    ----------
    Gilbert, *Iterative methods for the three-dimensional reconstruction of an object from projections*, J. Theor. Biol.
    36 (1972). Gregor and Benson, *Computational analysis and improvement of SIRT*, IEEE Trans. Med. Imaging 27 (2008).
    """

    max_steps: int = 100
    tolerance: float | None = None
    relaxation: float = 1.0
    nonnegative: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.relaxation < 2:
            raise ArgumentError(f"SIRT expects a relaxation between 0 and 2, got {self.relaxation}.")

    def init(self, problem: RegularisedProblem, x0: Tensor) -> SIRTState:
        """Start from an image.

        Raises
        ------
        UnsupportedError
            If the problem is not least squares alone.
        ArgumentError
            If a row or a column of the operator has a negative sum.
        """
        data = _least_squares(problem)
        rows = data.operator(torch.ones_like(x0))
        columns: Any = data.operator.adjoint(tree_map(torch.ones_like, data.y))
        _check_sums("SIRT", rows, columns)
        return SIRTState(x=x0, rows=tree_map(_reciprocal, rows), columns=_reciprocal(columns), **blank(x0))

    def step(self, problem: RegularisedProblem, state: SIRTState) -> SIRTState:
        """Take one step of each image that has not converged."""
        data = _least_squares(problem)
        residual = tree_map(lambda r, y, p: r * (y - p), state.rows, data.y, data.operator(state.x))
        back: Any = data.operator.adjoint(residual)
        x = state.x + self.relaxation * state.columns * back
        return settle(state, state._replace(x=x.clamp_min(0) if self.nonnegative else x), self.tolerance)

    def provably_convergent(self, problem: RegularisedProblem) -> Guarantee:
        """Tell whether the iterates are proven to converge: always, for operators without negative numbers."""
        _least_squares(problem)
        return Guarantee(
            holds=True,
            reason="The norm of C A^T R A is at most one where A has no negative numbers: Gregor and Benson (2008).",
        )


class MLEMState(NamedTuple):
    """Image, the sensitivities A^T 1, one a subset, and the bookkeeping of the driver."""

    x: Tensor
    sensitivity: tuple[Tensor, ...]
    change: Tensor
    active: Tensor
    failure: Tensor


@dataclass(frozen=True)
class MLEM:
    r"""Expectation maximisation for photon counts, over ordered subsets (OSEM) where the operator is a `Stack`.

    .. math:: x^+ = \frac{x}{A^T 1 + \gamma \lambda \nabla g(x)}\; A^T \frac{y}{A x + b}

    The data fidelity is `Composite` of `PoissonLikelihood` and an operator without negative numbers, or of
    `StackedDistance` of such and a `Stack`, whose n parts are the subsets: one step then passes over all of them in
    turn, each with 1/n of the priors. The gradient of the priors is taken at the image before the update, which is "one
    step late"; one subset and no subsets are the same thing.

    Parameters
    ----------
    max_steps : int
    tolerance : float or None
        Stop an image when it changes in a step by less than this, relative to its norm; None: take `max_steps` steps.

    References
    ----------
    Shepp and Vardi, *Maximum likelihood reconstruction for emission tomography*, IEEE Trans. Med. Imaging 1 (1982).
    Hudson and Larkin, *Accelerated image reconstruction using ordered subsets of projection data*, IEEE Trans. Med.
    Imaging 13 (1994). Green, *Bayesian reconstructions from emission tomography data using a modified EM algorithm*,
    IEEE Trans. Med. Imaging 9 (1990).
    """

    max_steps: int = 50
    tolerance: float | None = None

    def init(self, problem: RegularisedProblem, x0: Tensor) -> MLEMState:
        """Start from an image that is positive.

        Raises
        ------
        UnsupportedError
            If the problem is not one of photon counts, or a prior has no gradient.
        ArgumentError
            If the image is not positive, or a row or a column of the operator has a negative sum.
        """
        if not bool((x0 > 0).all()):
            raise ArgumentError("MLEM expects a positive image to start from, such as ones: what is zero stays zero.")
        subsets = _subsets(problem)
        for term in problem.terms:
            if not term.prior.has("gradient"):
                raise UnsupportedError(f"MLEM needs gradients, and {type(term.prior).__name__} has none.")
        sensitivity = []
        for operator, distance in subsets:
            column: Any = operator.adjoint(torch.ones_like(distance.y))
            _check_sums("MLEM", operator(torch.ones_like(x0)), column)
            sensitivity.append(column)
        return MLEMState(x=x0, sensitivity=tuple(sensitivity), **blank(x0))

    def step(self, problem: RegularisedProblem, state: MLEMState) -> MLEMState:
        """Pass once over the subsets, for each image that has not converged."""
        subsets, x = _subsets(problem), state.x
        for (operator, distance), sensitivity in zip(subsets, state.sensitivity, strict=True):
            expected: Any = operator(x)
            ratio = distance.y * _reciprocal(expected + distance.background)
            back: Any = operator.adjoint(ratio)
            denominator = sensitivity
            for term in problem.terms:
                share = step_like(distance.gain, x) / len(subsets)
                denominator = denominator + share * term.gradient(x)
            x = x * back * _reciprocal(denominator)
        return settle(state, state._replace(x=x), self.tolerance)

    def provably_convergent(self, problem: RegularisedProblem) -> Guarantee:
        """Tell whether the likelihood is proven to rise to its maximum: with one subset, and without priors."""
        if problem.terms:
            return Guarantee(holds=False, reason="Gradients that are one step late have no proof.")
        if len(_subsets(problem)) > 1:
            return Guarantee(holds=False, reason="Ordered subsets end in a cycle: take one subset, or more data.")
        return Guarantee(holds=True, reason="Expectation maximisation with one subset: Vardi, Shepp, Kaufman (1985).")


def _least_squares(problem: RegularisedProblem) -> LeastSquares:
    if problem.terms or not isinstance(problem.data, LeastSquares):
        raise UnsupportedError("SIRT minimises least squares alone: use PrimalDual for problems with priors.")
    return problem.data


def _subsets(problem: RegularisedProblem) -> list[tuple[LinearOperator, PoissonLikelihood]]:
    """Return the operator and the likelihood of each subset."""
    data = problem.data
    if isinstance(data, Composite):
        operators: list[Any] = [data.operator]
        distances = [data.functional]
        if isinstance(data.operator, Stack) and isinstance(data.functional, StackedDistance):
            operators, distances = list(data.operator.operators), list(data.functional.parts)
        likelihoods = [distance for distance in distances if isinstance(distance, PoissonLikelihood)]
        if len(likelihoods) == len(operators):
            return list(zip(operators, likelihoods, strict=True))
    raise UnsupportedError(
        "MLEM needs photon counts: Composite(PoissonLikelihood(y), A), or one for each part of a Stack."
    )


def _check_sums(owner: str, rows: Tree, columns: Tensor) -> None:
    if not all(bool((leaf >= 0).all()) for leaf in (*tree_leaves(rows), columns)):
        raise ArgumentError(f"{owner} expects an operator without negative numbers.")


def _reciprocal(x: Tensor) -> Tensor:
    """Return 1 / x, and zero where x is not positive."""
    return torch.where(x > 0, 1 / torch.where(x > 0, x, 1), 0)
