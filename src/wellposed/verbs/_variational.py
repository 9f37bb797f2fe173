"""Variational reconstruction without tuning: the weight that the noise calls for, a smooth start, a primal-dual run."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from wellposed.core.errors import SolverError
from wellposed.core.tree import Tree, norm, tree_leaves
from wellposed.noise import Gaussian
from wellposed.optim import (
    Functional,
    LeastSquares,
    PrimalDual,
    RegularisedProblem,
    Term,
    TotalVariation,
    noise_levels,
    smooth_start,
    wavelet_prior,
)
from wellposed.physics import Physics
from wellposed.solvers import Status, run

__all__ = ["total_variation", "wavelets"]

logger = logging.getLogger("wellposed")

_METHOD, _METHOD_OF_WAVELETS = PrimalDual(max_steps=300), PrimalDual(max_steps=150)
_LEAST = 1e-4
_LEAST_WHERE_LOST = 3e-3
_FACTOR_OF_WAVELETS, _LEAST_FACTOR = 1.5, 0.03


def total_variation(y: Tree, physics: Physics, callback: Callable[[int, int], Any] | None) -> Tensor:
    """Minimise 1/2 ||A x - y||^2 + weight TV(x), with the weight that the noise calls for."""
    return _minimised(y, physics, TotalVariation, _weight, _METHOD, callback)


def wavelets(y: Tree, physics: Physics, callback: Callable[[int, int], Any] | None) -> Tensor:
    """Minimise 1/2 ||A x - y||^2 + weight g(x) with the wavelet prior g over all shifts, whose edges channels share."""

    def prior(image_shape: tuple[int, ...]) -> Functional:
        return wavelet_prior(image_shape, "db1", levels=4, translation_invariant=True, joint_channels=True)

    return _minimised(y, physics, prior, _weight_of_wavelets, _METHOD_OF_WAVELETS, callback)


def _minimised(
    y: Tree,
    physics: Physics,
    prior: Callable[[tuple[int, ...]], Functional],
    weight: Callable[[LeastSquares, Physics], Tensor],
    method: PrimalDual,
    callback: Callable[[int, int], Any] | None,
) -> Tensor:
    data = LeastSquares(physics.linear_operator, y)
    start = smooth_start(data)
    problem = RegularisedProblem(data, Term(prior(tuple(start.shape[1:])), weight(data, physics)))
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
        logger.info("variational: relative change %s after %d steps", solution.state.change.tolist(), method.max_steps)
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


def _weight_of_wavelets(data: LeastSquares, physics: Physics) -> Tensor:
    r"""Return the weight of wavelets for each image, a multiple of that of total variation, by training photographs.

    .. math:: 1.5\, \lambda_{TV}\, \max\big(\min(1, 10\, s / b)^{16 \mu^5},\ \tfrac1{50}\big)

    with s the noise of the measurements, b their root mean square, and mu the share by which they are fewer than the
    pixels. Where they are few and clean the weight chooses among the images that explain them, and wavelets prefer
    those that are blurred.
    """
    count = sum(leaf[0].numel() for leaf in tree_leaves(data.y))
    fewer = max(0.0, 1 - count / data.backprojection[0].numel())
    relative = 10 * noise_levels(data.y, physics).measurements / _or_one(norm(data.y) / count**0.5)
    factor = _FACTOR_OF_WAVELETS * relative.clamp(max=1).pow(16 * fewer**5)
    return factor.clamp_min(_LEAST_FACTOR) * _weight(data, physics)


def _lost_share(data: LeastSquares) -> Tensor:
    """Estimate 1 - ||A||_F^2 / (n ||A||^2) for n pixels: 0 if nothing is lost, near 1 if almost everything is."""
    white = noise_levels(data.y, Physics(data.operator, Gaussian(1.0)))
    most = data.operator_norm * white.measurements
    return 1 - (white.image / _or_one(most)).square().clamp(max=1)


def _or_one(size: Tensor) -> Tensor:
    """Return what can be divided by: one in place of zero."""
    return torch.where(size > 0, size, 1)
