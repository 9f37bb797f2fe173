"""Generalised minimal residuals, restarted, for general square systems."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from wellposed.core.errors import ArgumentError
from wellposed.core.precision import in_own_precision
from wellposed.core.tree import Tree, inner, norm
from wellposed.solvers.driver import Status
from wellposed.solvers.system import (
    LinearSystem,
    add_scaled,
    check_hyperparameters,
    choose,
    divide,
    eps_of,
    exceeds,
    no_failure,
    normalised,
)

__all__ = ["GMRES", "GMRESState"]

_ROUNDINGS = 10


class GMRESState(NamedTuple):
    """The state of GMRES within a cycle of k steps; what is not a tree of images has a leading axis B.

    Attributes
    ----------
    start : Tree
        The x at the beginning of the cycle.
    basis, searches : tuple of Tree
        The k + 1 orthonormal vectors, and the first k of them preconditioned.
    rotation : Tensor, shape (B, k + 1, k + 1)
        The unitary matrix that makes the Hessenberg matrix triangular.
    triangle : Tensor, shape (B, k, k)
        That triangular matrix.
    target : Tensor, shape (B, k + 1)
        The rotated right-hand side; its last entry is the residual norm up to a phase.
    """

    x: Tree
    active: Tensor
    failure: Tensor
    start: Tree
    basis: tuple[Tree, ...]
    searches: tuple[Tree, ...]
    rotation: Tensor
    triangle: Tensor
    target: Tensor
    residual_norm: Tensor
    b_norm: Tensor


@dataclass(frozen=True)
class GMRES:
    r"""Solve A x = b for a square, non-singular A, by the x of least residual in a Krylov space.

    The Arnoldi process (modified Gram-Schmidt) makes A a Hessenberg matrix in an orthonormal basis; one rotation a step
    keeps its QR factorisation. The basis grows by one image a step, and two where there is a preconditioner, until the
    cycle ends and a new one starts from the residual. One application of A a step, and one a cycle; none of its
    adjoint. The preconditioner acts from the right and may change from step to step.

    Parameters
    ----------
    tolerance : float
        Stop an image when ||b - A x|| <= tolerance * ||b||.
    max_steps : int
        The most steps, all cycles together.
    restart : int
        Steps in a cycle.

    References
    ----------
    Saad and Schultz, *GMRES: a generalized minimal residual algorithm*, SIAM J. Sci. Stat. Comput. 7, 1986,
    doi:10.1137/0907058. Saad, *A flexible inner-outer preconditioned GMRES algorithm*, SIAM J. Sci. Comput. 14, 1993,
    doi:10.1137/0914028.

    Examples
    --------
    >>> import torch
    >>> from wellposed.solvers import GMRES, solve
    >>> solution = solve(lambda x: x.roll(1, dims=1), torch.tensor([[1.0, 2.0, 3.0]]), GMRES())
    >>> solution.value.round(decimals=4)
    tensor([[2., 3., 1.]])
    >>> solution.stats["steps"]
    3
    """

    needs_self_adjoint: ClassVar[bool] = False
    needs_adjoint: ClassVar[bool] = False

    tolerance: float = 1e-6
    max_steps: int = 200
    restart: int = 30

    def __post_init__(self) -> None:
        check_hyperparameters("GMRES", self.tolerance, self.max_steps)
        if self.restart < 1:
            raise ArgumentError(f"GMRES expects restart of at least 1, got {self.restart}.")

    def init(self, system: LinearSystem, x0: Tree | None = None) -> GMRESState:
        """Return the state before the first step."""
        x, residual = system.start(x0)
        residual_norm, b_norm = norm(residual), norm(system.b)
        active = exceeds(residual_norm, self.tolerance * b_norm)
        return _new_cycle(x, residual, active, no_failure(b_norm), b_norm)

    @in_own_precision
    def step(self, system: LinearSystem, state: GMRESState) -> GMRESState:
        """Extend the basis by one vector and the factorisation by one rotation; start a new cycle after the last."""
        if len(state.searches) == self.restart:
            residual = system.residual(state.x)
            active = state.active & exceeds(norm(residual), self.tolerance * state.b_norm)
            state = _new_cycle(state.x, residual, active, state.failure, state.b_norm)
        searches = (*state.searches, system.precondition(state.basis[-1]))
        image = system.operator(searches[-1])
        image_norm = norm(image)
        coefficients = []
        for vector in state.basis:
            coefficients.append(inner(vector, image))
            image = add_scaled(image, -coefficients[-1], vector)
        height, vector = normalised(image)

        column = (state.rotation @ torch.stack(coefficients, dim=1)[..., None])[..., 0]
        radius = torch.hypot(column[:, -1].abs(), height)
        broken = state.active & (radius <= _ROUNDINGS * eps_of(state.x) * image_norm)
        active = state.active & ~broken
        cosine, sine = divide(column[:, -1], radius), divide(height, radius)
        triangle = _bordered(
            state.triangle, torch.where(active[:, None], column[:, :-1], 0), torch.where(active, radius, 1)
        )
        last = torch.where(active, state.target[:, -1], 0)
        head = torch.cat([state.target[:, :-1], (cosine.conj() * last)[:, None]], dim=1)
        target = torch.cat([head, (-sine * last)[:, None]], dim=1)
        weights = torch.linalg.solve_triangular(triangle, head[..., None], upper=True)[..., 0]
        moved = state.start
        for index, search in enumerate(searches):
            moved = add_scaled(moved, weights[:, index], search)
        residual_norm = torch.where(active, target[:, -1].abs(), state.residual_norm)
        return GMRESState(
            x=choose(active, moved, state.x),
            active=active & exceeds(residual_norm, self.tolerance * state.b_norm),
            failure=torch.where(broken, Status.breakdown.code, state.failure),
            start=state.start,
            basis=(*state.basis, vector),
            searches=searches,
            rotation=_rotated(state.rotation, cosine, sine),
            triangle=triangle,
            target=target,
            residual_norm=residual_norm,
            b_norm=state.b_norm,
        )

    def report(self, state: GMRESState) -> dict[str, Any]:
        """Return the relative residual ||b - A x|| / ||b|| of each image, shape (B,)."""
        return {"residual": divide(state.residual_norm, state.b_norm)}


def _new_cycle(x: Tree, residual: Tree, active: Tensor, failure: Tensor, b_norm: Tensor) -> GMRESState:
    size, vector = normalised(residual)
    scalar = inner(vector, vector)
    return GMRESState(
        x=x,
        active=active,
        failure=failure,
        start=x,
        basis=(vector,),
        searches=(),
        rotation=torch.ones_like(scalar)[:, None, None],
        triangle=scalar.new_zeros(len(scalar), 0, 0),
        target=size.to(scalar.dtype)[:, None],
        residual_norm=size,
        b_norm=b_norm,
    )


def _bordered(triangle: Tensor, column: Tensor, corner: Tensor) -> Tensor:
    """Extend an upper triangular matrix by a column and its diagonal entry, each image on its own."""
    top = torch.cat([triangle, column[..., None]], dim=2)
    bottom = torch.cat([torch.zeros_like(column), corner[:, None].to(column.dtype)], dim=1)
    return torch.cat([top, bottom[:, None]], dim=1)


def _rotated(rotation: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Extend the unitary matrix by one row and column, and turn its last two rows."""
    wide = torch.nn.functional.pad(rotation, (0, 1))
    last, fresh = wide[:, -1], torch.zeros_like(wide[:, -1])
    fresh = torch.cat([fresh[:, :-1], torch.ones_like(fresh[:, -1:])], dim=1)
    cosine, sine = cosine[:, None], sine[:, None]
    turned = torch.stack([cosine.conj() * last + sine * fresh, cosine * fresh - sine * last], dim=1)
    return torch.cat([wide[:, :-1], turned], dim=1)
