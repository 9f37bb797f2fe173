"""The alternating direction method of multipliers, with any number of terms; and Douglas-Rachford splitting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from wellposed.core.errors import ArgumentError, UnsupportedError
from wellposed.core.tree import Tree, per_image, tree_map
from wellposed.optim.data_fidelity import LeastSquares
from wellposed.optim.problem import Guarantee, RegularisedProblem, Term
from wellposed.optim.settling import blank, settle
from wellposed.solvers import CG, solve

__all__ = ["ADMM", "DouglasRachford"]

_SYSTEM = CG(tolerance=1e-6, max_steps=100)


class State(NamedTuple):
    """Image, the copies z of C x and scaled multipliers u, one a term, and the bookkeeping of the driver."""

    x: Tensor
    copies: tuple[Tree, ...]
    multipliers: tuple[Tree, ...]
    penalty: Tensor
    change: Tensor
    active: Tensor
    failure: Tensor


@dataclass(frozen=True)
class ADMM:
    r"""Minimise :math:`f(x) + \sum_i \lambda_i g_i(C_i x)` with each :math:`C_i x` held in a copy of its own.

    .. math::
        x^+ &= \arg\min_x f(x) + \tfrac\rho2 \textstyle\sum_i \|C_i x - z_i + u_i\|^2 \\
        z_i^+ &= \mathrm{prox}_{\lambda_i g_i / \rho}(C_i x^+ + u_i) \\
        u_i^+ &= u_i + C_i x^+ - z_i^+

    The first line is a linear system, solved by conjugate gradients from the last image, where f is `LeastSquares` or
    missing; any other f that splits as a function of A x becomes a term itself.

    Parameters
    ----------
    tolerance : float or None
        Stop an image when x and all copies change in a step by less than this, relative to their norms; None: take
        `max_steps` steps.
    max_steps : int
    penalty : float
        The penalty rho, in units of :math:`\|A\|^2`, or of one where there is no least squares term.
    solver : CG
        For the linear system.

    Raises
    ------
    ArgumentError
        If the penalty is not positive.

    References
    ----------
    Boyd, Parikh, Chu, Peleato, Eckstein, *Distributed optimization and statistical learning via the alternating
    direction method of multipliers*, Found. Trends Mach. Learn. 3 (2011). Afonso, Bioucas-Dias, Figueiredo, *An
    augmented Lagrangian approach to the constrained optimization formulation of imaging inverse problems*, IEEE Trans.
    Image Processing 20 (2011).
    """

    tolerance: float | None = 1e-4
    max_steps: int = 300
    penalty: float = 0.1
    solver: CG = _SYSTEM

    def __post_init__(self) -> None:
        if not self.penalty > 0:
            raise ArgumentError(f"ADMM expects a positive penalty, got {self.penalty}.")

    def init(self, problem: RegularisedProblem, x0: Tensor) -> State:
        """Start from an image.

        Raises
        ------
        UnsupportedError
            If a term has no proximal step once its operator is taken off.
        """
        data, terms = _parts(problem)
        unit = x0.real.new_ones(len(x0)) if data is None else data.operator_norm.square().to(x0.real).expand(len(x0))
        copies = tuple(term.transformed(x0) for term in terms)
        return State(
            x=x0,
            copies=copies,
            multipliers=tuple(tree_map(torch.zeros_like, copy) for copy in copies),
            penalty=self.penalty * torch.where(unit > 0, unit, 1),
            **blank(x0),
        )

    def step(self, problem: RegularisedProblem, state: State) -> State:
        """Take one step of each image that has not converged."""
        data, terms = _parts(problem)
        x = self._image(data, terms, state)
        seen = [term.transformed(x) for term in terms]
        shifted = [tree_map(torch.add, a, u) for a, u in zip(seen, state.multipliers, strict=True)]
        copies = tuple(
            term.functional.prox(v, term.weights(x) / state.penalty) for term, v in zip(terms, shifted, strict=True)
        )
        multipliers = tuple(tree_map(torch.sub, v, z) for v, z in zip(shifted, copies, strict=True))
        new = state._replace(x=x, copies=copies, multipliers=multipliers)
        return settle(state, new, self.tolerance, watched=("x", "copies", "multipliers"))

    def provably_convergent(self, problem: RegularisedProblem) -> Guarantee:
        """Tell whether the iterates are proven to converge: for convex problems, if the linear systems are solved."""
        if not problem.convex:
            return Guarantee(holds=False, reason="A part of the problem is not convex.")
        return Guarantee(
            holds=True,
            reason="Convex, and the errors of the linear systems, solved from the last image, fade: "
            "Eckstein and Bertsekas (1992), theorem 8.",
        )

    def _image(self, data: LeastSquares | None, terms: tuple[Term, ...], state: State) -> Tensor:
        """Solve (A^H A + rho sum C^H C) x = A^H y + rho sum C^H (z - u)."""
        rho = per_image(state.penalty, state.x)
        right: Any = 0 if data is None else data.backprojection
        for term, z, u in zip(terms, state.copies, state.multipliers, strict=True):
            right = right + rho * term.adjoint(tree_map(torch.sub, z, u))

        def system(x: Any) -> Any:
            image = 0 if data is None else data.normal(x)
            return image + rho * sum(_gram(term, x) for term in terms)

        if data is None and all(term.operator is None for term in terms):
            return right / (rho * len(terms))
        value: Any = solve(system, right, self.solver, x0=state.x, throw=False).value
        return value


@dataclass(frozen=True)
class DouglasRachford:
    r"""Minimise :math:`f(x) + g(x)` by their proximal steps alone.

    .. math::
        x &= \mathrm{prox}_{\gamma f}(s), \qquad s^+ = s + \alpha \big(\mathrm{prox}_{\gamma g}(2 x - s) - x\big)

    Parameters
    ----------
    gamma : float
        The step size: any positive number leads to the same image.
    tolerance : float or None
        Stop an image when s changes in a step by less than this, relative to its norm; None: take `max_steps` steps.
    max_steps : int
    relaxation : float
        The factor alpha, between 0 and 2.

    Raises
    ------
    ArgumentError
        If `gamma` is not positive, or `relaxation` out of its bounds.

    References
    ----------
    Lions and Mercier, *Splitting algorithms for the sum of two nonlinear operators*, SIAM J. Numer. Anal. 16 (1979).
    """

    gamma: float = 1.0
    tolerance: float | None = 1e-5
    max_steps: int = 500
    relaxation: float = 1.0

    def __post_init__(self) -> None:
        if not self.gamma > 0 or not 0 < self.relaxation < 2:
            raise ArgumentError(
                f"DouglasRachford expects gamma above 0 and a relaxation between 0 and 2, "
                f"got {self.gamma} and {self.relaxation}."
            )

    def init(self, problem: RegularisedProblem, x0: Tensor) -> SplittingState:
        """Start from an image.

        Raises
        ------
        UnsupportedError
            If there are not two parts with a proximal step.
        """
        first, _ = _two_parts(problem)
        return SplittingState(x=first.prox(x0, self._gamma(x0)), shadow=x0, **blank(x0))

    def step(self, problem: RegularisedProblem, state: SplittingState) -> SplittingState:
        """Take one step of each image that has not converged; x is the proximal step of f at the new s."""
        first, second = _two_parts(problem)
        gamma = self._gamma(state.x)
        shadow = state.shadow + self.relaxation * (second.prox(2 * state.x - state.shadow, gamma) - state.x)
        new = state._replace(x=first.prox(shadow, gamma), shadow=shadow)
        return settle(state, new, self.tolerance, watched=("shadow",))

    def provably_convergent(self, problem: RegularisedProblem) -> Guarantee:
        """Tell whether the iterates are proven to converge to a minimiser: for convex problems."""
        if not problem.convex:
            return Guarantee(holds=False, reason="A part of the problem is not convex.")
        return Guarantee(holds=True, reason="Convex, by the proximal steps of both parts: Lions and Mercier (1979).")

    def _gamma(self, x: Tensor) -> Tensor:
        return torch.full((len(x),), self.gamma, dtype=x.real.dtype, device=x.device)


class SplittingState(NamedTuple):
    """Image, the variable s that converges, and the bookkeeping of the driver."""

    x: Tensor
    shadow: Tensor
    change: Tensor
    active: Tensor
    failure: Tensor


def _parts(problem: RegularisedProblem) -> tuple[LeastSquares | None, tuple[Term, ...]]:
    """Return the least squares term, if it is one, and everything that is held in copies."""
    data = problem.data if isinstance(problem.data, LeastSquares) else None
    terms = problem.all_terms if data is None else problem.terms
    for term in terms:
        if not term.functional.has("prox"):
            raise UnsupportedError(f"ADMM needs a proximal step, and {type(term.functional).__name__} has none.")
    if not terms:
        raise UnsupportedError("ADMM needs at least one term beside least squares: use least_squares.")
    return data, terms


def _gram(term: Term, x: Tensor) -> Any:
    return x if term.operator is None else term.operator.gram(x)


def _two_parts(problem: RegularisedProblem) -> tuple[Term, Term]:
    terms = problem.all_terms
    if len(terms) != 2 or not all(term.prior.has("prox") for term in terms):
        raise UnsupportedError(
            "DouglasRachford takes two parts, each with a proximal step: use ADMM or PrimalDual for others."
        )
    return terms[0], terms[1]
