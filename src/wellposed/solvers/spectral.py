"""The largest eigenvalue of a map that is known by its action only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from wellposed.core.rng import normal_like
from wellposed.core.tree import Tree, inner, tree_map
from wellposed.solvers.driver import run
from wellposed.solvers.system import (
    LinearMap,
    LinearSystem,
    add_scaled,
    exceeds,
    no_failure,
    normalised,
)

__all__ = ["largest_eigenvalue"]

_SEED = 0
_LOOKS_AN_OCTAVE = 16


def largest_eigenvalue(gram: LinearMap, like: Tree, *, tolerance: float = 1e-3, max_steps: int = 1000) -> Tensor:
    r"""Return the largest eigenvalue of a Hermitian positive semi-definite map, for each image, by the Lanczos process.

    After k applications the estimate is the largest eigenvalue of the tridiagonal matrix T that the process has made of
    the map, so never above the true one but by rounding. It stops when the residual of its eigenvector q,

    .. math:: \|A V q - \theta V q\| = \beta_{k} |q_k| ,

    proves an eigenvalue within a quarter of the tolerance of theta. The start is a fixed pseudo-random image of its own
    generator: the same map gives the same number, and no one's seed is touched.

    Parameters
    ----------
    gram : callable
        The map A^H A: the square root of the answer is then the operator norm of A.
    like : Tree, tensors of shape (B, ...)
        An image of the domain, whose shape, dtype and device are used and whose values are not.
    tolerance : float
        The relative error that is wanted.
    max_steps : int
        The most applications of the map.

    Returns
    -------
    Tensor, shape (B,), real
        A lower bound, to rounding, whose error is below tolerance times the eigenvalue. Where a step size must stay
        below a bound, divide by 1 - tolerance.

    Raises
    ------
    SolverError
        If `max_steps` applications do not suffice, or the map gives NaN.

    References
    ----------
    Golub and Van Loan, *Matrix Computations*, 4th edition, 2013, chapter 10. Kuczynski and Wozniakowski, *Estimating
    the largest eigenvalue by the power and Lanczos algorithms with a random start*, SIAM J. Matrix Anal. Appl. 13,
    1992, doi:10.1137/0613066.

    Examples
    --------
    >>> import torch
    >>> from wellposed.solvers import largest_eigenvalue
    >>> weight = torch.tensor([[1.0, 2.0, 9.0]])
    >>> largest_eigenvalue(lambda x: weight * x, torch.ones(1, 3)).round(decimals=3)
    tensor([9.])
    """
    method = _Lanczos(tolerance, max_steps)
    with torch.no_grad():
        system = LinearSystem(gram, like)
        return run(method, system, method.init(system)).state.ritz


class _LanczosState(NamedTuple):
    x: Tree
    active: Tensor
    failure: Tensor
    vector: Tree
    vector_before: Tree
    ritz: Tensor
    beta: Tensor
    diagonal: Tensor
    off_diagonal: Tensor


@dataclass(frozen=True)
class _Lanczos:
    """The Lanczos process, whose answer x is the largest Ritz value of each image, shape (B,)."""

    tolerance: float
    max_steps: int

    def init(self, system: LinearSystem) -> _LanczosState:
        generator = torch.Generator().manual_seed(_SEED)
        size, vector = normalised(tree_map(lambda leaf: normal_like(leaf, generator), system.b))
        none = size.new_zeros(len(size), 0)
        return _LanczosState(
            x=torch.zeros_like(size),
            active=size > 0,
            failure=no_failure(size),
            vector=vector,
            vector_before=tree_map(torch.zeros_like, vector),
            ritz=torch.zeros_like(size),
            beta=torch.zeros_like(size),
            diagonal=none,
            off_diagonal=none,
        )

    def step(self, system: LinearSystem, state: _LanczosState) -> _LanczosState:
        image = add_scaled(system.operator(state.vector), -state.beta, state.vector_before)
        alpha = inner(state.vector, image).real
        beta, vector = normalised(add_scaled(image, -alpha, state.vector))
        diagonal = torch.cat([state.diagonal, alpha[:, None]], dim=1)
        ritz, active = state.ritz, state.active
        length = diagonal.shape[1]
        if length % max(1, length // _LOOKS_AN_OCTAVE) == 0:
            top, last = _top_of_tridiagonal(diagonal, state.off_diagonal)
            ritz = torch.where(active, top, ritz)
            active = active & exceeds(beta * last, top * self.tolerance / 4)
        return _LanczosState(
            x=ritz,
            active=active,
            failure=state.failure,
            vector=vector,
            vector_before=state.vector,
            ritz=ritz,
            beta=beta,
            diagonal=diagonal,
            off_diagonal=torch.cat([state.off_diagonal, beta[:, None]], dim=1),
        )


def _top_of_tridiagonal(diagonal: Tensor, off_diagonal: Tensor) -> tuple[Tensor, Tensor]:
    """Return the largest eigenvalue, at least 0, and the size of the last entry of its eigenvector; both (B,)."""
    matrix = torch.diag_embed(diagonal)
    if off_diagonal.shape[1]:
        side = torch.diag_embed(off_diagonal, offset=1)
        matrix = matrix + side + side.mT
    finite = torch.isfinite(matrix).flatten(1).all(1)
    values, vectors = torch.linalg.eigh(torch.where(finite[:, None, None], matrix, 0))
    return torch.where(finite, values[:, -1].clamp(min=0), torch.nan), vectors[:, -1, -1].abs()
