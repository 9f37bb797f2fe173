"""Any linear code as an operator: two functions and two shapes."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from wellposed.core.arguments import check_callable
from wellposed.core.autograd import differentiable_linear
from wellposed.core.shapes import Field, check_tree
from wellposed.core.tree import Tree
from wellposed.operators.base import LinearOperator

__all__ = ["FromFunctions"]


class FromFunctions(LinearOperator):
    """Make an operator of a forward and an adjoint function, differentiable whatever code they run.

    Parameters
    ----------
    forward_function, adjoint_function : callable
        Tensor to Tensor, with a leading batch axis; an exact pair (`adjoint_error` tells). They may leave torch:
        neither is seen by autograd.
    image_shape, measurement_shape : tuple of int
        Without the batch axis.
    image_field, measurement_field : {"real", "complex", "any"}
        The numbers that images and measurements hold.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> flip = lambda x: torch.from_numpy(np.flip(x.numpy(), -1).copy())
    >>> A = FromFunctions(flip, flip, (1, 2, 2), (1, 2, 2))
    >>> A.adjoint_error() < 1e-6
    True
    """

    def __init__(
        self,
        forward_function: Callable[[Tensor], Tensor],
        adjoint_function: Callable[[Tensor], Tensor],
        image_shape: tuple[int, ...],
        measurement_shape: tuple[int, ...],
        image_field: Field = "any",
        measurement_field: Field = "any",
    ) -> None:
        check_callable("FromFunctions", "the forward map", forward_function)
        check_callable("FromFunctions", "the adjoint", adjoint_function)
        super().__init__(image_shape, measurement_shape)
        self.forward_function, self.adjoint_function = forward_function, adjoint_function
        self.image_field, self.measurement_field = image_field, measurement_field

    def _forward(self, x: Tensor) -> Tree:
        y = differentiable_linear(self.forward_function, self.adjoint_function, x)
        return check_tree("the forward function", "measurements", y, self.measurement_shape)

    def _adjoint(self, y: Tensor) -> Tree:
        x = differentiable_linear(self.adjoint_function, self.forward_function, y)
        return check_tree("the adjoint function", "images", x, self.image_shape)
