"""Total variation without tuning: the weight that the noise calls for, a smooth start, and the primal-dual method."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from wellposed.core.errors import SolverError
from wellposed.core.tree import Tree, norm
from wellposed.noise import Gaussian
from wellposed.optim import (
    LeastSquares,
    PrimalDual,
    RegularisedProblem,
    Term,
    TotalVariation,
    noise_levels,
    smooth_start,
)
from wellposed.physics import Physics
from wellposed.solvers import Status, run

__all__ = ["total_variation"]

logger = logging.getLogger("wellposed")

_STEPS = 300
_LEAST = 1e-4
_LEAST_WHERE_LOST = 3e-3


def total_variation(y: Tree, physics: Physics, callback: Callable[[int, int], Any] | None) -> Tensor:
    """Minimise 1/2 ||A x - y||^2 + weight TV(x), with the weight that the noise calls for."""
    data = LeastSquares(physics.linear_operator, y)
    start = smooth_start(data)
    problem = RegularisedProblem(data, Term(TotalVariation(tuple(start.shape[1:])), _weight(data, physics)))
    method = PrimalDual(max_steps=_STEPS)
    solution = run(
        method,
        problem,
        method.init(problem, start),
        callback=None if callback is None else lambda step, _: callback(step, method.max_steps) and None,
        throw=False,
    )
    if solution.status is Status.not_finite:
        raise SolverError(solution.status.value)
    if solution.status is Status.max_steps:
        logger.info("total variation: relative change %s after %d steps", solution.state.change.tolist(), _STEPS)
    return solution.state.x


def _weight(data: LeastSquares, physics: Physics) -> Tensor:
    r"""Return the weight of total variation for each image, fitted to training photographs over all named tasks.

    .. math:: \omega\, (s_A / \omega)^{0.3}\, (10\, s_A / b)^{0.25}, \qquad s_A = \|A\| s

    with s the level of the noise in the measurements, omega its level in the image A^H n, and b the root mean square of
    the image A^H y. It is more for operators that send most of the noise nowhere, as blurs do, and grows faster than
    the noise. The least weight, for measurements almost without noise, chooses among the images that explain them: it
    is in proportion to how much of the image the operator loses.
    """
    measurements, image = noise_levels(data.y, physics)
    signal = norm(data.backprojection) / data.backprojection[0].numel() ** 0.5
    level = data.operator_norm * measurements
    spread, relative = level / _or_one(image), 10 * level / _or_one(signal)
    least = (_LEAST + _LEAST_WHERE_LOST * _lost_share(data)) * signal
    return torch.maximum(image * spread.pow(0.3) * relative.pow(0.25), least)


def _lost_share(data: LeastSquares) -> Tensor:
    """Estimate 1 - ||A||_F^2 / (n ||A||^2) for n pixels: 0 if nothing is lost, near 1 if almost everything is."""
    white = noise_levels(data.y, Physics(data.operator, Gaussian(1.0)))
    most = data.operator_norm * white.measurements
    return 1 - (white.image / _or_one(most)).square().clamp(max=1)


def _or_one(size: Tensor) -> Tensor:
    """Return what can be divided by: one in place of zero."""
    return torch.where(size > 0, size, 1)
