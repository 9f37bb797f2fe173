"""Volumes that are measured slice by slice."""

from __future__ import annotations

from typing import cast

from torch import Tensor

from wellposed.core.arguments import check_whole
from wellposed.core.errors import ArgumentError, UnsupportedError
from wellposed.core.shapes import Shape, is_nested
from wellposed.core.tree import Tree, per_image, tree_map
from wellposed.operators.base import LinearOperator

__all__ = ["PerSlice"]


class PerSlice(LinearOperator):
    r"""Measure each slice of a volume by the same operator on images.

    .. math:: y_{\cdot d \cdot} = A\, x_{\cdot d \cdot}, \qquad d = 1, \dots, D

    Volumes (C, D, H, W) give measurements with the depth behind the first axis: (C', D, H', W') for an operator from
    (C, H, W) to (C', H', W'), and such a tuple for an operator that gives a tuple. The slices go through the operator
    as one batch; its closed forms are those of the volume. A parameter with one value per image has one per volume.

    Parameters
    ----------
    operator : LinearOperator
        On images (C, H, W).
    depth : int
        The number of slices.

    Raises
    ------
    ArgumentError
        If that is no linear operator, or the depth no whole number above zero.
    UnsupportedError
        If the operator is not one on images (C, H, W).

    Examples
    --------
    >>> import torch
    >>> from wellposed.operators import Downsample
    >>> A = PerSlice(Downsample(2, (1, 8, 8)), depth=5)
    >>> A(torch.ones(1, 1, 5, 8, 8)).shape
    torch.Size([1, 1, 5, 4, 4])
    """

    operator: LinearOperator

    def __init__(self, operator: LinearOperator, depth: int) -> None:
        if not isinstance(operator, LinearOperator):
            raise ArgumentError(f"PerSlice expects a linear operator, got {type(operator).__name__}.")
        check_whole("PerSlice", "depth", depth, least=1)
        if is_nested(operator.image_shape) or len(operator.image_shape) != 3:
            raise UnsupportedError(
                f"PerSlice expects an operator on images (C, H, W), got {type(operator).__name__} on "
                f"{operator.image_shape}."
            )
        super().__init__(_with_depth(operator.image_shape, depth), _with_depth(operator.measurement_shape, depth))
        self.operator, self.depth = operator, depth
        self.image_field, self.measurement_field = operator.image_field, operator.measurement_field
        self.tags = operator.tags

    def has_closed_form(self, name: str) -> bool:
        """Tell whether "gram", "norm", "pinv" or "prox" is a formula here: where it is one of the operator."""
        return self.operator.has_closed_form(name)

    def _forward(self, x: Tensor) -> Tree:
        return self._volumes(self._operator()._forward(_slices(x)))

    def _adjoint(self, y: Tree) -> Tree:
        return self._volumes(self._operator()._adjoint(tree_map(_slices, y)))

    def _gram(self, x: Tensor) -> Tree:
        return self._volumes(self._operator()._gram(_slices(x)))

    def _norm(self) -> Tensor:
        return self.operator._norm()

    def _pinv(self, y: Tree) -> Tree:
        return self._volumes(self._operator()._pinv(tree_map(_slices, y)))

    def _prox(self, z: Tensor, y: Tree, gamma: Tensor) -> Tree:
        weights = gamma.flatten()
        weights = weights.repeat_interleave(self.depth) if len(weights) > 1 else weights
        slices = _slices(z)
        return self._volumes(self._operator()._prox(slices, tree_map(_slices, y), per_image(weights, slices)))

    def _operator(self) -> LinearOperator:
        """Return the operator for all slices of all volumes, the first volume first."""
        repeated = {
            name: value.repeat_interleave(self.depth, dim=0)
            for name, value in self.operator.params.items()
            if value.ndim and value.shape[0] > 1
        }
        return self.operator.with_params(**repeated)

    def _volumes(self, slices: Tree) -> Tree:
        return tree_map(lambda leaf: leaf.unflatten(0, (-1, self.depth)).movedim(1, 2), slices)


def _slices(volumes: Tensor) -> Tensor:
    """Make a batch of slices (B D, C, ...) of volumes (B, C, D, ...)."""
    return volumes.movedim(2, 1).flatten(0, 1)


def _with_depth(shape: Shape, depth: int) -> Shape:
    if is_nested(shape):
        return tuple(_with_depth(part, depth) for part in shape)
    first, *rest = cast("tuple[int | None, ...]", shape)
    return (first, depth, *rest)
