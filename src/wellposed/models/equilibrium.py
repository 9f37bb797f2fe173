"""Deep equilibrium: the fixed point of a learned step as a network, in memory that no number of steps needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, final

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from wellposed.core.errors import ArgumentError
from wellposed.core.names import check_name
from wellposed.core.tree import Tree, tree_leaves, tree_map
from wellposed.models.unrolled.numbers import Positive
from wellposed.models.unrolled.step import LearnedStep
from wellposed.physics import Physics, as_physics
from wellposed.solvers import GMRES, Anderson, Broyden, FixedPoint, Solution, run, solve
from wellposed.solvers.differentiate import detached, unflattened
from wellposed.solvers.fixed_point import as_rows, as_tree
from wellposed.solvers.system import check_hyperparameters

__all__ = ["Equilibrium"]

_SOLVERS = {"anderson": Anderson, "broyden": Broyden}


@final
class Equilibrium(nn.Module):
    r"""Take a learned step until nothing moves any more, and differentiate the equation that then holds.

    .. math:: z^* = T_\theta(z^*;\, y, A), \qquad
        \frac{\partial \ell}{\partial \theta} = \Big(\frac{\partial T_\theta}{\partial \theta}\Big)^T v, \qquad
        v = g + \Big(\frac{\partial T_\theta}{\partial z}\Big)^T v

    with g the gradient of the loss at z*. The forward pass keeps nothing of its steps; the backward pass solves a
    linear system by GMRES, one product with the transposed Jacobian of a step each. Gradients are of first order.

    Parameters
    ----------
    step : LearnedStep
        One that is the same each time: its numbers have one value.
    solver : {"anderson", "broyden"}
        How the fixed point is found.
    tolerance : float
        Of the fixed point: :math:`\|T(z) - z\| \le` tolerance :math:`\|T(z)\|`, in each image.
    max_steps : int
    backward : {"implicit", "jacobian_free"}
        Solve for v, or take v = g: the gradient of one step at z*, which costs no solve and is still a direction of
        descent where T contracts enough.
    backward_tolerance : float
        Of v: the residual over the norm of g, in each image.
    backward_max_steps : int
    throw : bool
        Raise if the forward or the backward pass has not converged. False takes what there is.

    Raises
    ------
    ArgumentError
        If the step is none, changes from one time to the next, or a number is out of its bounds.
    UnknownNameError
        If there is no such solver or backward pass.

    References
    ----------
    Bai, Kolter, Koltun, *Deep equilibrium models*, NeurIPS 2019, arXiv:1909.01377. Gilton, Ongie, Willett, *Deep
    equilibrium architectures for inverse problems in imaging*, IEEE Trans. Comput. Imaging 7 (2021), arXiv:2102.07944.
    Fung, Heaton, Li, McKenzie, Osher, Yin, *JFB: Jacobian-free backpropagation for implicit networks*, AAAI 2022,
    arXiv:2103.12803.

    Examples
    --------
    >>> import wellposed as wp
    >>> from wellposed.models import AlgorithmStep
    >>> physics = wp.Physics(wp.operators.Identity((1, 2, 2)))
    >>> halved = Equilibrium(AlgorithmStep(wp.optim.SquaredNorm(), weight=1.0))
    >>> round(halved(torch.ones(1, 1, 2, 2), physics).mean().item(), 4)
    0.5
    """

    def __init__(
        self,
        step: LearnedStep,
        *,
        solver: Literal["anderson", "broyden"] = "anderson",
        tolerance: float = 1e-4,
        max_steps: int = 100,
        backward: Literal["implicit", "jacobian_free"] = "implicit",
        backward_tolerance: float = 1e-4,
        backward_max_steps: int = 100,
        throw: bool = True,
    ) -> None:
        super().__init__()
        if not isinstance(step, LearnedStep):
            raise ArgumentError(f"Equilibrium expects a step such as HQSStep(denoiser), got {type(step).__name__}.")
        changing = [part.name for part in step.modules() if isinstance(part, Positive) and len(part.initial) > 1]
        if changing or not step.stationary:
            what = (
                f"one value of {changing[0]}" if changing else f"steps that are all alike, which {type(step).__name__}"
            )
            raise ArgumentError(f"Equilibrium expects {what}{'' if changing else ' is not'}: it has one step only.")
        check_name("solver", solver, _SOLVERS)
        check_name("backward pass", backward, ("implicit", "jacobian_free"))
        check_hyperparameters("Equilibrium", tolerance, max_steps)
        check_hyperparameters("Equilibrium", backward_tolerance, backward_max_steps)
        self.step, self.solver, self.tolerance, self.max_steps = step, solver, tolerance, max_steps
        self.backward, self.throw = backward, throw
        self.backward_tolerance, self.backward_max_steps = backward_tolerance, backward_max_steps

    def forward(self, y: Tree, physics: Physics) -> Tensor:
        """Reconstruct images.

        Parameters
        ----------
        y : Tensor or tuple of Tensor, shape (B, *measurement_shape)
        physics : Physics
            With a linear operator; also one of DeepInverse.

        Returns
        -------
        Tensor, shape (B, *image_shape)

        Raises
        ------
        SolverError
            If the fixed point is not found and `throw` is true: the step does not contract, or needs more steps.
        UnsupportedError
            If the step has a memory of its own, as that of "fista".
        """
        problem, state = self.step.pose(y, as_physics(physics, y))
        fixed = self._settled(problem, state)
        z = self._step(problem, state, detached(fixed.value))
        if self.backward == "implicit" and torch.is_grad_enabled():
            leaves = _Implicit.apply(self._adjoint_solver(problem, state, fixed.value), *tree_leaves(z))
            z = unflattened(leaves, z)
        return self.step.image(problem, self.step.write(state, z))

    def solution(self, y: Tree, physics: Physics) -> Solution:
        """Return the fixed point with its status and statistics, without a gradient; it never raises.

        Parameters
        ----------
        y, physics
            As for the network.
        """
        problem, state = self.step.pose(y, as_physics(physics, y))
        return self._settled(problem, state, throw=False)

    @torch.no_grad()
    def _settled(self, problem: Any, state: Any, *, throw: bool | None = None) -> Solution:
        method: Any = _SOLVERS[self.solver](self.tolerance, self.max_steps)
        equation = FixedPoint(lambda z: self._step(problem, state, z))
        start = method.init(equation, self.step.read(state))
        throw = self.throw if throw is None else throw
        return run(method, equation, start, check_every=_looks(start.rows), throw=throw)

    def _step(self, problem: Any, state: Any, z: Tree) -> Tree:
        return self.step.read(self.step.step(problem, self.step.write(state, z), 0))

    def _adjoint_solver(self, problem: Any, state: Any, fixed: Tree) -> Callable[[Tree], Tree]:
        """Return the map from g to v, on real numbers: the Jacobian of a network need not respect complex ones."""

        def solved(gradient: Tree) -> Tree:
            with torch.enable_grad():
                z = tree_map(lambda leaf: leaf.detach().requires_grad_(), fixed)
                image = self._step(problem, state, z)

            def residual(v: Any) -> Tree:
                pulled = torch.autograd.grad(
                    tree_leaves(image),
                    tree_leaves(z),
                    tree_leaves(as_tree(v, z)),
                    retain_graph=True,
                    materialize_grads=True,
                )
                return v - as_rows(pulled)

            method = GMRES(self.backward_tolerance, self.backward_max_steps)
            right = as_rows(gradient)
            options: Any = {"differentiate": "none", "check_every": _looks(right), "throw": self.throw}
            rows: Any = solve(residual, right, method, **options).value
            return as_tree(rows, z)

        return solved


def _looks(rows: Tensor) -> int:
    """Return after how many steps each one looks whether all is done, for which an accelerator has to wait."""
    return 1 if rows.device.type == "cpu" else 10


class _Implicit(torch.autograd.Function):
    """The identity, whose gradient is what a map makes of it."""

    @staticmethod
    def forward(ctx: Any, adjoint: Callable[[Tree], Tree], *leaves: Tensor) -> tuple[Tensor, ...]:
        ctx.adjoint = adjoint
        return tuple(leaf.clone() for leaf in leaves)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return (None, *tree_leaves(ctx.adjoint(tuple(gradients))))
