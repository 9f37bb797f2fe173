"""What to record of a reconstruction while it runs: objective, misfit and, where the truth is known, PSNR."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from wellposed.core.errors import ArgumentError
from wellposed.core.tree import norm, tree_map
from wellposed.metrics import psnr
from wellposed.optim.data_fidelity import LeastSquares
from wellposed.optim.problem import RegularisedProblem

__all__ = ["history"]


def history(
    problem: RegularisedProblem, truth: Tensor | None = None, *, data_range: float | None = None
) -> dict[str, Callable[[Any], Tensor]]:
    r"""Return what `wellposed.solvers.run` takes as `record`, each of shape (steps, B) in its history.

    Parameters
    ----------
    problem : RegularisedProblem
        Gives "objective", its value at the image, and "residual", :math:`\|A x - y\| / \|y\|`, where its data fidelity
        is `LeastSquares`.
    truth : Tensor, shape (B, *image_shape), optional
        Gives "psnr".
    data_range : float, optional
        The difference of white and black, for the PSNR.

    Raises
    ------
    ArgumentError
        If only one of `truth` and `data_range` is given.

    Examples
    --------
    >>> from wellposed.operators import Identity
    >>> from wellposed.optim import L1Norm, ProximalGradient, RegularisedProblem, Term
    >>> from wellposed.solvers import run
    >>> problem = RegularisedProblem(LeastSquares(Identity(), torch.full((1, 1, 2, 2), 3.0)), Term(L1Norm(), 1.0))
    >>> method = ProximalGradient()
    >>> solution = run(method, problem, method.init(problem, torch.zeros(1, 1, 2, 2)), record=history(problem))
    >>> {name: round(values[-1].item(), 2) for name, values in solution.stats["history"].items()}
    {'objective': 10.0, 'residual': 0.33}
    """
    if (truth is None) != (data_range is None):
        raise ArgumentError("history expects the truth and its data_range together, for the PSNR.")
    measures: dict[str, Callable[[Any], Tensor]] = {"objective": lambda state: problem.value(state.x)}
    data = problem.data
    if isinstance(data, LeastSquares):
        size = norm(data.y)
        scale = torch.where(size > 0, size, 1)
        measures["residual"] = lambda state: norm(tree_map(torch.sub, data.operator(state.x), data.y)) / scale
    if truth is not None and data_range is not None:
        measures["psnr"] = lambda state: psnr(state.x, truth, data_range=data_range)
    return measures
