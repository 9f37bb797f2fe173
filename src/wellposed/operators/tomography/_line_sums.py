"""Sums along lines, differentiable to any order in the image and in the lines, compiled where that is possible.

The interpolated image is linear in the pixels and piecewise linear in the lines. So its derivative in `start` and in
`slope` is again a sum along the lines, with other weights, and their own derivatives in the lines are zero.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from wellposed.operators.tomography import _compiled, _plain
from wellposed.operators.tomography._lines import Lines, Weights

__all__ = ["spread_along", "sum_along"]

_CHANGES = (Weights.start, Weights.slope)


def sum_along(x: Tensor, lines: Lines) -> Tensor:
    """Return the line integrals, per length of a step, of images (B, C, H, W): shape (B, C, A, bins)."""
    return _Sum.apply(x, lines.start, lines.slope, lines.along_rows, Weights.value)


def spread_along(y: Tensor, lines: Lines, size: tuple[int, int]) -> Tensor:
    """Return the exact transpose of `sum_along`: images (B, C, H, W) of a size."""
    return _Spread.apply(y, lines.start, lines.slope, lines.along_rows, Weights.value, size)


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor, start: Tensor, slope: Tensor, along_rows: Tensor, weights: Weights) -> Tensor:
        code = _compiled if _compiled.can_compile(x) else _plain
        return code.sum_along(x, Lines(start, slope, along_rows), weights)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], _output: Tensor) -> None:
        x, start, slope, along_rows, ctx.weights = inputs
        ctx.size = tuple(x.shape[-2:])
        ctx.save_for_backward(x, start, slope, along_rows)
        ctx.save_for_forward(x, start, slope, along_rows)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, *where = ctx.saved_tensors
        of_image = _Spread.apply(grad, *where, ctx.weights, ctx.size) if ctx.needs_input_grad[0] else None
        return of_image, *_of_lines(ctx, grad, x, where), None, None

    @staticmethod
    def jvp(ctx: Any, x: Tensor | None, *changes: Tensor | None) -> Tensor:
        image, *where = ctx.saved_tensors
        terms = [] if x is None else [_Sum.apply(x, *where, ctx.weights)]
        for change, kind in _moves(ctx, changes):
            terms.append(change * _Sum.apply(image, *where, kind))
        terms = terms or [torch.zeros_like(_Sum.apply(image, *where, ctx.weights))]
        return sum(terms[1:], terms[0])

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *arguments: Any) -> tuple[Tensor, int]:
        return _mapped(_Sum, info, in_dims, arguments)


class _Spread(torch.autograd.Function):
    @staticmethod
    def forward(
        y: Tensor, start: Tensor, slope: Tensor, along_rows: Tensor, weights: Weights, size: tuple[int, int]
    ) -> Tensor:
        code = _compiled if _compiled.can_compile(y) else _plain
        return code.spread_along(y, Lines(start, slope, along_rows), weights, size)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], _output: Tensor) -> None:
        y, start, slope, along_rows, ctx.weights, ctx.size = inputs
        ctx.save_for_backward(y, start, slope, along_rows)
        ctx.save_for_forward(y, start, slope, along_rows)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        y, *where = ctx.saved_tensors
        of_rays = _Sum.apply(grad, *where, ctx.weights) if ctx.needs_input_grad[0] else None
        return of_rays, *_of_lines(ctx, y, grad, where), None, None, None

    @staticmethod
    def jvp(ctx: Any, y: Tensor | None, *changes: Tensor | None) -> Tensor:
        rays, *where = ctx.saved_tensors
        terms = [] if y is None else [_Spread.apply(y, *where, ctx.weights, ctx.size)]
        for change, kind in _moves(ctx, changes):
            terms.append(_Spread.apply(change * rays, *where, kind, ctx.size))
        terms = terms or [torch.zeros_like(_Spread.apply(rays, *where, ctx.weights, ctx.size))]
        return sum(terms[1:], terms[0])

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *arguments: Any) -> tuple[Tensor, int]:
        return _mapped(_Spread, info, in_dims, arguments)


def _moves(ctx: Any, changes: tuple[Tensor | None, ...]) -> list[tuple[Tensor, Weights]]:
    """Return the tangents of start and slope, with an axis for the channels, and the weights of their derivatives."""
    if ctx.weights is not Weights.value:
        return []
    return [(change.unsqueeze(1), kind) for change, kind in zip(changes, _CHANGES, strict=False) if change is not None]


def _of_lines(ctx: Any, rays: Tensor, image: Tensor, where: list[Tensor]) -> tuple[Tensor | None, ...]:
    """Return the gradients in start and slope of <rays, sums of the image>, shared by the batch if the lines are."""
    gradients: list[Tensor | None] = []
    for is_needed, kind in zip(ctx.needs_input_grad[1:], _CHANGES, strict=False):
        if not is_needed or ctx.weights is not Weights.value:
            gradients.append(None)
            continue
        gradient = (rays * _Sum.apply(image, *where, kind)).sum(1)
        gradients.append(gradient.sum(0, keepdim=True) if len(where[0]) == 1 else gradient)
    return tuple(gradients)


def _mapped(
    function: type[torch.autograd.Function], info: Any, in_dims: tuple[int | None, ...], arguments: tuple[Any, ...]
) -> tuple[Tensor, int]:
    """Map slice by slice; tensors that are not mapped are shared."""
    slices = [
        function.apply(*[a if dim is None else a.select(dim, i) for a, dim in zip(arguments, in_dims, strict=True)])
        for i in range(info.batch_size)
    ]
    return torch.stack(slices), 0
