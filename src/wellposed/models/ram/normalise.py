"""Operators of any norm, in the unit that RAM was trained on."""

from __future__ import annotations

import logging
from typing import Any, cast

import torch
from torch import Tensor

from wellposed.core.tree import Tree, tree_leaves
from wellposed.operators import Blur, Compose, Downsample, LinearOperator, Scaled, SpectralResponse, Stack
from wellposed.operators._foreign import ForeignOperator

__all__ = ["divided", "unit_factor"]

logger = logging.getLogger("wellposed")

_TOLERANCE = 0.01
_ROUNDING = 4


def unit_factor(operator: LinearOperator, y: Tree) -> Tensor:
    r"""Return the number c such that :math:`A / c` has the norm that the network knows.

    That norm is one, but for operators that take means: a downsampling by f, whose filter has sum one, has norm 1 / f,
    and mixing three colours evenly has norm :math:`1 / \sqrt 3`. In a stack, c is that of the part for which it is
    largest. A blur has the norm that it tends to for large images, the peak of its transfer function. An operator that
    is as close as 1 %, or that measures nothing, is left as it is. Scalar factors (`3 * A`)
    go into c before the rest is looked at.

    Parameters
    ----------
    operator : LinearOperator
    y : Tensor or tuple of Tensor, shape (B, *measurement_shape)
        Its measurements, for their precision and device.

    Returns
    -------
    Tensor, 0-dim or one per image
        Complex if a scalar factor of the operator is.
    """
    scale, inner = _split(operator)
    excess = _excess(inner)
    if bool((excess == 1).all()):
        return scale
    logger.info("RAM divides %s by %s, so that its norm is what the network knows.", type(inner).__name__, excess)
    like = tree_leaves(y)[0]
    return scale * excess.to(like.device, like.dtype.to_real())


def divided(operator: LinearOperator, factor: Tensor) -> LinearOperator:
    """Return the operator over a number, or over one per image; scalar factors of its own are absorbed."""
    scale, inner = _split(operator)
    quotient = scale / factor
    if bool(((quotient - 1).abs() <= _ROUNDING * torch.finfo(quotient.dtype).eps).all()):
        return inner
    return inner * (quotient if quotient.ndim else quotient.item())


def _split(operator: LinearOperator) -> tuple[Tensor, LinearOperator]:
    """Return the product of the scalar factors of an operator, and what is left of it."""
    scale = torch.ones((), dtype=torch.float64)
    while isinstance(operator, Scaled) and bool((operator._factor() != 0).all()):
        scale = scale * operator._factor()
        operator = operator.operator
    return scale, operator


def _excess(operator: LinearOperator) -> Tensor:
    """Return how many times too large the norm is for each image, shape (1,) or (B,); 1 where it will do."""
    if isinstance(operator, Stack):
        parts = [_excess(cast("LinearOperator", part)) for part in operator.operators]
        return torch.stack(torch.broadcast_tensors(*parts)).amax(0)
    norm, expected = _norm(operator), _expected_norm(operator)
    fits = ((norm - 1).abs() <= _TOLERANCE) | ((norm / expected - 1).abs() <= _TOLERANCE) | (norm == 0)
    return torch.where(fits, 1, norm / expected)


def _norm(operator: LinearOperator) -> Tensor:
    """Return the norm; for a blur that of an image without borders, which takes no iterations."""
    return operator.peak_response() if isinstance(operator, Blur) else operator.norm()


def _expected_norm(operator: LinearOperator) -> Tensor | float:
    """Return one, or the norm of a mean: 1 / f on a grid f times coarser; for a response, that with rows of sum one."""
    if isinstance(operator, Downsample):
        return 1 / operator.factor
    if isinstance(operator, SpectralResponse):
        return operator.norm() / operator.response.detach().abs().sum(2).amax(1)
    if isinstance(operator, Scaled):
        return _expected_norm(operator.operator)
    if isinstance(operator, Compose):
        return _expected_norm(operator.outer) * _expected_norm(operator.inner)
    if isinstance(operator, ForeignOperator):
        return 1 / _coarsening(operator.image_shape, operator.measurement_shape)
    return 1.0


def _coarsening(fine: Any, coarse: Any) -> int:
    """Return f if `fine` is (C, f h, f w) where `coarse` is (C, h, w), else 1."""
    if len(fine) != 3 or len(coarse) != 3:
        return 1
    factor: int = fine[-1] // coarse[-1]
    return factor if fine == (coarse[0], factor * coarse[1], factor * coarse[2]) else 1
