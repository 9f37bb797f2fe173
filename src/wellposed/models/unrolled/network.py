"""A fixed number of steps of an algorithm as a network."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from functools import partial
from typing import Any, final

from torch import Tensor, nn

from wellposed.core.arguments import check_counts
from wellposed.core.errors import ArgumentError
from wellposed.core.names import check_name
from wellposed.core.tree import Tree
from wellposed.models.unrolled.numbers import Fraction, Positive
from wellposed.models.unrolled.repeat import MEMORIES, Memory, repeat
from wellposed.models.unrolled.reversible import repeat_with_momentum
from wellposed.models.unrolled.step import LearnedStep
from wellposed.physics import Physics, as_physics

__all__ = ["Unrolled"]


@final
class Unrolled(nn.Module):
    r"""Unroll an algorithm: a fixed number of its steps, whose numbers and networks are trained end to end.

    .. math:: z_{k+1} = T_{\theta_k}(z_k;\, y, A), \qquad \hat x = x(z_n)

    Untrained, it is the algorithm itself. Steps are `AlgorithmStep`, `HQSStep`, `DPIRStep`, `MoDLStep`, `VarNetStep`,
    `KSpaceStep`, `LISTAStep`, or your own `LearnedStep`.

    Parameters
    ----------
    step : LearnedStep
        It is copied unless all steps share it.
    n_iter : int
        How many steps.
    tied : bool
        Whether all steps share their weights. Numbers that are given one for each step have a value of their own in
        either case.
    momentum : float, optional
        Between 0 and 1, trained too: :math:`z_{k+1} = T(z_k) + \beta (z_k - z_{k-1})`, the heavy ball. Such steps can
        be run backwards.
    memory : {"store", "checkpoint", "invert"}
        What training keeps for the backward pass: everything; the state between steps; or, with momentum, the last
        state alone, from which the others are computed again. The last two cost one more forward pass. The gradients
        are the same.

    Raises
    ------
    ArgumentError
        If the step is none, `n_iter` is not a whole number above zero, numbers are given for another number of steps,
        or steps without momentum are to be inverted.
    UnknownNameError
        If there is no such `memory`.
    UnsupportedError
        On a call, if a step that has momentum of its own is given more.

    References
    ----------
    Gregor and LeCun, *Learning fast approximations of sparse coding*, ICML 2010. Monga, Li, Eldar, *Algorithm
    unrolling*, IEEE Signal Processing Magazine 38 (2021), arXiv:1912.10557. Polyak, *Some methods of speeding up the
    convergence of iteration methods*, USSR Comput. Math. Math. Phys. 4 (1964). Sander, Ablin, Blondel, Peyre, *Momentum
    residual neural networks*, ICML 2021, arXiv:2102.07870.

    Examples
    --------
    >>> import torch
    >>> import wellposed as wp
    >>> from wellposed.models import AlgorithmStep, DnCNN, Unrolled
    >>> physics = wp.Physics(wp.operators.Downsample(2, image_shape=(1, 16, 16)))
    >>> network = Unrolled(AlgorithmStep(DnCNN(channels=1, width=4, depth=3)), n_iter=3, tied=False)
    >>> network(physics(torch.rand(2, 1, 16, 16)), physics).shape
    torch.Size([2, 1, 16, 16])
    """

    def __init__(
        self,
        step: LearnedStep,
        n_iter: int,
        *,
        tied: bool = True,
        momentum: float | None = None,
        memory: Memory = "store",
    ) -> None:
        super().__init__()
        if not isinstance(step, LearnedStep):
            raise ArgumentError(f"Unrolled expects a step such as AlgorithmStep(denoiser), got {type(step).__name__}.")
        check_counts("Unrolled", n_iter=n_iter)
        check_name("memory", memory, MEMORIES)
        if memory == "invert" and momentum is None:
            raise ArgumentError(
                "Unrolled can invert steps with momentum only: set momentum=0.5, or memory='checkpoint'."
            )
        for numbers in _numbers(step):
            if len(numbers.initial) not in (1, n_iter):
                raise ArgumentError(
                    f"Unrolled got {len(numbers.initial)} values of {numbers.name} for {n_iter} steps: give one, or as "
                    "many as there are steps."
                )
        self.n_iter, self.tied, self.momentum, self.memory = n_iter, tied, momentum, memory
        self.step = step if tied else _only(step, 0)
        self.later = nn.ModuleList([] if tied else [_only(step, index) for index in range(1, n_iter)])
        self.share = None if momentum is None else Fraction("momentum", momentum)

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
        """
        problem, state = self.step.pose(y, as_physics(physics, y))
        if self.share is None:
            steps = partial(self._next, problem)
            state = repeat(steps, state, self.n_iter, checkpointed=self.memory == "checkpoint")
            return self.step.image(problem, state)

        def advance(z: Tree, index: int) -> Tree:
            return self.step.read(self._next(problem, self.step.write(state, z), index))

        start = self.step.read(state)
        z = repeat_with_momentum(advance, start, self.n_iter, self.share, memory=self.memory)
        return self.step.image(problem, self.step.write(state, z))

    def _next(self, problem: Any, state: Any, index: int) -> Any:
        step: Any = self.step if self.tied or index == 0 else self.later[index - 1]
        return step.step(problem, state, index)


def _numbers(step: LearnedStep) -> Iterator[Positive]:
    return (module for module in step.modules() if isinstance(module, Positive))


def _only(step: LearnedStep, index: int) -> LearnedStep:
    """Return a copy whose numbers are those of one step."""
    copy = deepcopy(step)
    for numbers in _numbers(copy):
        numbers.keep(index)
    return copy
