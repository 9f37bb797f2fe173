"""One value, computed by the fast code, whether or not its derivatives are asked for, which another code has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

__all__ = ["with_value"]


def with_value(graph: Tensor, compute: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
    """Return compute(*tensors), which is `graph` to rounding, with the derivatives of `graph`."""
    return _WithValue.apply(graph, compute, *tensors)


class _WithValue(torch.autograd.Function):
    """A value computed by one code, with the derivatives of another."""

    @staticmethod
    def forward(_plain: Tensor, compute: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
        return compute(*tensors)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], _output: Tensor) -> None:
        """Keep nothing: all that is to be known is in the graph of the first argument."""

    @staticmethod
    def backward(_ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return grad, None, None, None, None

    @staticmethod
    def jvp(_ctx: Any, plain: Tensor, *_: None) -> Tensor:
        return plain.clone()

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *arguments: Any) -> tuple[Tensor, int]:
        slices = [
            _WithValue.apply(*[a if d is None else a.select(d, i) for a, d in zip(arguments, in_dims, strict=True)])
            for i in range(info.batch_size)
        ]
        return torch.stack(slices), 0
