"""The operator of another library's physics."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from wellposed.operators.functions import FromFunctions

__all__ = ["ForeignOperator"]

_NORMS: WeakKeyDictionary[nn.Module, tuple[tuple[Any, ...], Tensor]] = WeakKeyDictionary()


class ForeignOperator(FromFunctions):
    """The methods `A` and `A_adjoint` of an object, as an operator.

    Such objects change in place, and are wrapped anew at every call. The norm of one that is an `nn.Module` is kept
    beside it for as long as its parameters and buffers are the same.

    Parameters
    ----------
    physics : object with methods `A` and `A_adjoint`
    image_shape, measurement_shape : tuple of int
        Without the batch axis.
    """

    physics: Any

    def __init__(self, physics: Any, image_shape: tuple[int, ...], measurement_shape: tuple[int, ...]) -> None:
        super().__init__(physics.A, physics.A_adjoint, image_shape, measurement_shape)
        self.__dict__["physics"] = physics

    @torch.no_grad()
    def norm(self) -> Tensor:
        """Return the operator norm, shape (1,); see `LinearOperator.norm`."""
        if not isinstance(self.physics, nn.Module):
            return self._norm()
        state = self._state()
        kept = _NORMS.get(self.physics)
        if kept is None or not _same(kept[0], state):
            kept = state, self._norm()
            _NORMS[self.physics] = kept
        return kept[1]

    def _state(self) -> tuple[Any, ...]:
        """Return what the norm depends on: shapes, precision, and the tensors with their versions."""
        tensors = [*self.physics.parameters(), *self.physics.buffers()]
        versions = [None if tensor.is_inference() else tensor._version for tensor in tensors]
        return self.image_shape, self.measurement_shape, self.dtype, self.device, *versions, *tensors


def _same(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    return len(one) == len(other) and all(
        a is b if isinstance(a, Tensor) or isinstance(b, Tensor) else a == b for a, b in zip(one, other, strict=True)
    )
