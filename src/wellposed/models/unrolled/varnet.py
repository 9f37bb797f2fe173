"""The variational network: gradient steps with a learned field, in the image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

from torch import Tensor, nn

from wellposed.core.arguments import check_callable
from wellposed.core.tree import Tree
from wellposed.models.unrolled.algorithm import Posed
from wellposed.models.unrolled.field import FieldOfExperts, GradientField
from wellposed.models.unrolled.network import Unrolled
from wellposed.models.unrolled.numbers import Numbers, Positive
from wellposed.models.unrolled.repeat import Memory
from wellposed.models.unrolled.step import LearnedStep, first_image, in_kind
from wellposed.optim import LeastSquares, ProximalGradient, RegularisedProblem, Term
from wellposed.physics import Physics

__all__ = ["VarNetStep", "descended", "redrawn", "varnet"]

_DESCENT = ProximalGradient(tolerance=None, accelerated=False)


@final
class VarNetStep(LearnedStep):
    r"""A gradient step on the measurements, less a learned field.

    .. math:: x^+ = x - \frac{\eta}{\|A\|^2} A^H (A x - y) - R(x)

    Parameters
    ----------
    field : callable
        The field R, ``field(x)``, such as `FieldOfExperts` or any image network.
    weight : float or sequence of float
        The weight eta of the measurements.

    Raises
    ------
    ArgumentError
        If a number is not positive, or the field is no function.

    References
    ----------
    Hammernik, Klatzer, Kobler, Recht, Sodickson, Pock, Knoll, *Learning a variational network for reconstruction of
    accelerated MRI data*, Magn. Reson. Med. 79 (2018), arXiv:1704.00447.
    """

    def __init__(self, field: Callable[[Tensor], Tensor], *, weight: Numbers = 0.1) -> None:
        super().__init__()
        check_callable("VarNetStep", "the field", field)
        self.field, self.weight = field, weight
        self.weights = Positive("weight", weight)

    def pose(self, y: Tree, physics: Physics) -> tuple[Posed, Any]:
        """Return the data fidelity with its default step size, and the state that starts from the adjoint."""
        data = LeastSquares(physics.linear_operator, y)
        first = _DESCENT.init(RegularisedProblem(data), first_image(data, "adjoint"))
        return Posed(data, first), first

    def step(self, problem: Posed, state: Any, index: int) -> Any:
        """Take the step of gradient descent."""
        return descended(problem, state, self.weights(index), in_kind(self.field))

    def write(self, state: Any, variables: Tree) -> Any:
        """Return the state with another image."""
        return state._replace(x=variables, ahead=variables)


def descended(problem: Posed, state: Any, pace: Tensor, field: Callable[[Tensor], Tensor]) -> Any:
    """Take a step of gradient descent at some pace, whose field is not scaled by the step size."""
    tau = pace * problem.first.tau
    posed = RegularisedProblem(problem.data, Term(GradientField(field), 1 / tau))
    return _DESCENT.step(posed, state._replace(tau=tau))


def redrawn(network: Unrolled) -> Unrolled:
    """Draw the weights of an untied network's later steps afresh, so that no two steps start alike; and return it."""
    for module in network.later.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            module.reset_parameters()
        elif isinstance(module, FieldOfExperts):
            nn.init.normal_(module.kernels)
    return network


def varnet(
    channels: int = 2,
    *,
    n_iter: int = 10,
    filters: int = 48,
    size: int = 11,
    centres: int = 31,
    weight: float = 0.1,
    memory: Memory = "store",
) -> Unrolled:
    """Return the variational network as published: ten gradient steps, each with 48 filters and curves of its own.

    Parameters
    ----------
    channels : int
        Real channels of the images; 2 for complex images of one channel.
    n_iter, memory
        As in `Unrolled`.
    filters, size, centres
        As in `FieldOfExperts`.
    weight : float
        As in `VarNetStep`.

    Examples
    --------
    >>> import torch
    >>> import wellposed as wp
    >>> physics = wp.Physics(wp.operators.CartesianMRI(torch.ones(1, 1, 1, 8), image_shape=(1, 8, 8)))
    >>> varnet(n_iter=2, filters=3, size=3)(torch.rand(1, 1, 8, 8) + 0j, physics).shape
    torch.Size([1, 1, 8, 8])
    """
    step = VarNetStep(FieldOfExperts(channels, filters, size, centres), weight=weight)
    return redrawn(Unrolled(step, n_iter, tied=False, memory=memory))
