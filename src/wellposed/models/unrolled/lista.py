"""LISTA: sparse coding by learned matrices and thresholds."""

from __future__ import annotations

import math
from typing import Any, NamedTuple, final

import torch
from torch import Tensor, nn

from wellposed.core.arguments import check_counts
from wellposed.core.errors import ArgumentError, UnsupportedError
from wellposed.core.shapes import fixed_shape, shape_text
from wellposed.core.tree import Tree
from wellposed.models.unrolled.network import Unrolled
from wellposed.models.unrolled.numbers import Numbers, Positive
from wellposed.models.unrolled.step import LearnedStep
from wellposed.operators import LinearOperator
from wellposed.optim import L1Norm, LeastSquares
from wellposed.physics import Physics

__all__ = ["LISTAStep", "lista"]


class State(NamedTuple):
    """The image; the measurements of which it is one are the problem."""

    x: Tensor


@final
class LISTAStep(LearnedStep):
    r"""The step of ISTA with matrices of its own.

    .. math:: x^+ = \mathrm{soft}_\theta(S x + W y)

    The network is made for one operator, of which the weights take the place, and for small images: S has a number for
    each pair of pixels. It starts at x = 0, as published.

    Parameters
    ----------
    image_shape, measurement_shape : tuple of int
        Without the batch axis; both real.
    threshold : float or sequence of float
        The threshold theta.

    Raises
    ------
    ArgumentError
        If a number is not positive.
    ShapeError
        If a size is not given.

    References
    ----------
    Gregor and LeCun, *Learning fast approximations of sparse coding*, ICML 2010.
    """

    def __init__(
        self, image_shape: tuple[int, ...], measurement_shape: tuple[int, ...], *, threshold: Numbers = 0.1
    ) -> None:
        super().__init__()
        self.image_shape = fixed_shape("LISTAStep", image_shape)
        self.measurement_shape = fixed_shape("LISTAStep", measurement_shape)
        check_counts("LISTAStep", image_channels=self.image_shape[0], channels=self.measurement_shape[0])
        self.threshold = threshold
        pixels, numbers = math.prod(self.image_shape), math.prod(self.measurement_shape)
        self.encode = nn.Linear(numbers, pixels, bias=False)
        self.mix = nn.Linear(pixels, pixels, bias=False)
        self.thresholds = Positive("threshold", threshold)

    def pose(self, y: Tree, physics: Physics) -> tuple[Tensor, State]:  # noqa: ARG002
        """Return the measurements as vectors, and zero."""
        if not isinstance(y, Tensor) or y.is_complex() or tuple(y.shape[1:]) != self.measurement_shape:
            got = f"{y.dtype} of shape {tuple(y.shape)}" if isinstance(y, Tensor) else "a tuple"
            raise UnsupportedError(
                f"LISTAStep was built for real measurements of shape {shape_text(self.measurement_shape)}, got {got}."
            )
        return y.flatten(1), State(y.new_zeros(len(y), *self.image_shape))

    def step(self, problem: Tensor, state: State, index: int) -> State:
        """Take the step."""
        moved = self.mix(state.x.flatten(1)) + self.encode(problem)
        return State(L1Norm().prox(moved.view_as(state.x), self.thresholds(index)))


@torch.no_grad()
def lista(operator: LinearOperator, weight: float, n_iter: int = 16, *, tied: bool = True, **options: Any) -> Unrolled:
    r"""Return LISTA that starts out as ISTA for :math:`\tfrac12 \|A x - y\|^2 + \lambda \|x\|_1`.

    .. math:: W = \tfrac1L A^T, \qquad S = I - \tfrac1L A^T A, \qquad \theta = \tfrac{\lambda}{L}, \qquad L = \|A\|^2

    Where A has orthonormal columns one step solves the problem.

    Parameters
    ----------
    operator : LinearOperator
        Of small images; shared by all images of a batch.
    weight : float
        The weight lambda.
    n_iter, tied
        As in `Unrolled`.
    **options
        Of `Unrolled`: `memory`, `momentum`.

    Raises
    ------
    ArgumentError
        If the operator differs between the images of a batch.

    Examples
    --------
    >>> import wellposed as wp
    >>> operator = wp.operators.Identity((1, 2, 2))
    >>> lista(operator, weight=0.25, n_iter=1)(torch.ones(1, 1, 2, 2), wp.Physics(operator)).mean().item()
    0.75
    """
    if operator.parameter_batch != 1:
        raise ArgumentError("lista expects an operator that all images share: its weights are those of one operator.")
    matrix = operator.to_matrix()[0]
    size = float(LeastSquares(operator, operator.zero_measurement()).lipschitz())
    shapes: Any = (operator.image_shape, operator.measurement_shape)
    step = LISTAStep(*shapes, threshold=weight / size).to(matrix)
    step.encode.weight.copy_(matrix.mT / size)
    step.mix.weight.copy_(torch.eye(matrix.shape[1]).to(matrix) - matrix.mT @ matrix / size)
    return Unrolled(step, n_iter, tied=tied, **options)
