"""`wp.reconstruct`: from measurements to an image, without tuning."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor

from wellposed.core.errors import ArgumentError, SolverError, UnsupportedError
from wellposed.core.names import check_name
from wellposed.core.shapes import check_tensor
from wellposed.core.tree import Tree, norm, tree_leaves
from wellposed.operators import LinearOperator
from wellposed.optim import (
    LeastSquares,
    PrimalDual,
    RegularisedProblem,
    TotalVariation,
    noise_levels,
    smooth_start,
)
from wellposed.physics import Physics, as_physics
from wellposed.solvers import Status, run

__all__ = ["METHODS", "Reconstructor", "reconstruct"]

logger = logging.getLogger("wellposed")

Reconstructor: TypeAlias = Callable[[Tree, Physics], Tensor]
"""Anything that recovers an image: `x_hat = model(y, physics)`."""

Progress: TypeAlias = Callable[[int, int], Any]
"""Called as `callback(step, max_steps)` after each step of a long reconstruction."""

_TV_STEPS = 300
_LEAST_NOISE = 1e-4


def _adjoint(y: Tree, physics: Physics, _callback: Progress | None) -> Tensor:
    return physics.A_adjoint(y)


def _pseudo_inverse(y: Tree, physics: Physics, _callback: Progress | None) -> Tensor:
    return physics.A_dagger(y)


def _total_variation(y: Tree, physics: Physics, callback: Progress | None) -> Tensor:
    """Minimise 1/2 ||A x - y||^2 + weight TV(x), with the weight that the noise calls for."""
    if not isinstance(physics.operator, LinearOperator):
        raise UnsupportedError(
            f"total variation needs a linear operator, and {type(physics.operator).__name__} is not."
        )
    data = LeastSquares(physics.operator, y)
    start = smooth_start(data)
    problem = RegularisedProblem(data, TotalVariation(tuple(start.shape[1:])), _tv_weight(data, physics))
    method = PrimalDual(max_steps=_TV_STEPS)
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
        logger.info("total variation: relative change %s after %d steps", solution.state.change.tolist(), _TV_STEPS)
    return solution.state.x


def _tv_weight(data: LeastSquares, physics: Physics) -> Tensor:
    r"""Return the weight of total variation for each image, found by trial on training photographs.

    It is the level w of the noise in the image, times (||A|| s / w)^0.3 with s its level in the measurements: one for
    denoising, more for operators that send most of the noise nowhere, as blurs do. Measurements without noise get the
    little weight that chooses among the images that explain them.
    """
    measurements, image = noise_levels(data.y, physics)
    spread = data.operator_norm * measurements / torch.where(image > 0, image, 1)
    pixels = data.backprojection[0].numel()
    return torch.maximum(image * spread.pow(0.3), _LEAST_NOISE * norm(data.backprojection) / pixels**0.5)


METHODS: dict[str, Callable[[Tree, Physics, Progress | None], Tensor]] = {
    "adjoint": _adjoint,
    "pinv": _pseudo_inverse,
    "tv": _total_variation,
}
"""How to reconstruct, by name."""


@torch.no_grad()
def reconstruct(
    y: Tree, physics: Physics, method: str | Reconstructor = "tv", *, callback: Progress | None = None
) -> Tensor:
    """Recover an image from its measurements.

    Parameters
    ----------
    y : Tensor or tuple of Tensor, shape (B, *measurement_shape)
    physics : Physics
        With a linear operator; how the measurements came about. One of DeepInverse will do.
    method : str or callable
        "tv" (total variation, its weight chosen from the noise level and the operator), "pinv" (pseudo-inverse),
        "adjoint", or any model called as `model(y, physics)`.
    callback : callable, optional
        Called as `callback(step, max_steps)` after each step, for progress bars.

    Returns
    -------
    Tensor, shape (B, *image_shape)

    Raises
    ------
    UnknownNameError
        If there is no such method.
    ArgumentError
        If the measurements hold a NaN or an infinity.
    ShapeError, DTypeError
        If the measurements do not fit the physics.

    References
    ----------
    Rudin, Osher, Fatemi, Physica D 60 (1992).

    Examples
    --------
    >>> import wellposed as wp
    >>> physics = wp.Physics(wp.operators.Identity((1, 8, 8)), wp.noise.Gaussian(0.1))
    >>> y = physics(torch.ones(1, 1, 8, 8), generator=torch.Generator().manual_seed(0))
    >>> bool((wp.reconstruct(y, physics) - 1).abs().max() < (y - 1).abs().max())
    True
    """
    for leaf in tree_leaves(y):
        check_tensor("reconstruct", "measurements", leaf)
        if not bool(torch.isfinite(leaf).all()):
            raise ArgumentError(
                "the measurements hold NaN or infinity: give those entries a value, and a mask that leaves them out."
            )
    if callable(method):
        return method(y, physics)
    return METHODS[check_name("method", method, METHODS)](y, as_physics(physics, y), callback)
