"""What the wavelet transforms share: their adjoint undoes them, A^H A = I, so that every closed form follows."""

from __future__ import annotations

from torch import Tensor

from wellposed.core.errors import ArgumentError
from wellposed.operators.base import LinearOperator

__all__ = ["ParsevalFrame", "check_has_space"]


class ParsevalFrame(LinearOperator):
    """A transform of the axes after the channels with A^H A = I; subclasses say what it and its adjoint are."""

    image_shape: tuple[int, ...]

    def _gram(self, x: Tensor) -> Tensor:
        return x

    def _norm(self) -> Tensor:
        return self._marker.new_ones(1)

    def _pinv(self, y: Tensor) -> Tensor:
        return self._adjoint(y)

    def _prox(self, z: Tensor, y: Tensor, gamma: Tensor) -> Tensor:
        return (z + gamma * self._adjoint(y)) / (1 + gamma)

    def _axes(self) -> range:
        return range(1 - len(self.image_shape), 0)


def check_has_space(owner: str, image_shape: tuple[int, ...]) -> None:
    """Raise `ArgumentError` unless there is an axis after the channels."""
    if len(image_shape) < 2:
        raise ArgumentError(f"{owner} expects an image shape with channels and space, got {image_shape}.")
