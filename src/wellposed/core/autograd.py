"""The one bridge that makes a linear map differentiable where autograd cannot see through the code that computes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

__all__ = ["differentiable_linear", "is_recorded"]

LinearMap = Callable[[Tensor], Tensor]


def differentiable_linear(forward: LinearMap, adjoint: LinearMap, x: Tensor) -> Tensor:
    """Evaluate the linear map `forward` at `x`, differentiable to any order, in both modes and under vmap.

    The backward pass of the map is its adjoint, whose backward pass is the map again.

    Parameters
    ----------
    forward, adjoint : callable
        An exact pair on tensors with a leading batch axis: <forward(x), y> = <x, adjoint(y)>.
    x : Tensor, shape (B, ...)
    """
    return _LinearBridge.apply(forward, adjoint, x)


def is_recorded(tensor: Tensor) -> bool:
    """Tell whether a graph, a tangent or a transform of `torch.func` follows a tensor and may need its values later.

    The compiler, which sees to that by itself, is told that one does.
    """
    return (
        tensor.requires_grad
        or torch.compiler.is_compiling()
        or torch._C._functorch.is_functorch_wrapped_tensor(tensor)
        or _has_tangent(tensor)
    )


def _has_tangent(tensor: Tensor) -> bool:
    """Tell whether forward-mode differentiation is going on, and carries a tangent with the tensor."""
    return forward_ad._current_level >= 0 and forward_ad.unpack_dual(tensor).tangent is not None


class _LinearBridge(torch.autograd.Function):
    """Make a linear map differentiable: its derivative is itself, its transpose is its adjoint."""

    @staticmethod
    def forward(forward: LinearMap, _adjoint: LinearMap, x: Tensor) -> Tensor:
        return forward(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], _output: Tensor) -> None:
        ctx.forward_map, ctx.adjoint_map, _ = inputs

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, None, Tensor]:
        return None, None, _LinearBridge.apply(ctx.adjoint_map, ctx.forward_map, grad)

    @staticmethod
    def jvp(ctx: Any, _forward: None, _adjoint: None, tangent: Tensor) -> Tensor:
        return _LinearBridge.apply(ctx.forward_map, ctx.adjoint_map, tangent)

    @staticmethod
    def vmap(
        _info: Any, in_dims: tuple[None, None, int], forward: LinearMap, adjoint: LinearMap, x: Tensor
    ) -> tuple[Tensor, int]:
        """Map slice by slice, so that the code behind the map never meets a functorch tensor nor another batch size."""
        slices = x.movedim(in_dims[2], 0)
        return torch.stack([_LinearBridge.apply(forward, adjoint, part) for part in slices]), 0
