"""A step of an algorithm of `wellposed.optim` on a least squares problem with one prior."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, final

from torch import Tensor

from wellposed.core.arguments import check_callable
from wellposed.core.errors import UnsupportedError
from wellposed.core.names import check_name
from wellposed.core.tree import Tree
from wellposed.models.unrolled.numbers import Numbers, Positive
from wellposed.models.unrolled.step import LearnedStep, Start, first_image, in_kind
from wellposed.optim import (
    ADMM,
    RED,
    DenoiserProx,
    Functional,
    LeastSquares,
    PrimalDual,
    ProximalGradient,
    RegularisedProblem,
    Term,
)
from wellposed.optim.accelerated import variables
from wellposed.physics import Physics

__all__ = ["AlgorithmStep"]


class _Algorithm(NamedTuple):
    """A method, and how its step sizes are set to a multiple of what they are by default."""

    method: Any
    pace: Callable[[Any, Any, Tensor], Any]


def _pace_tau(state: Any, first: Any, pace: Tensor) -> Any:
    return state._replace(tau=pace * first.tau)


def _pace_both(state: Any, first: Any, pace: Tensor) -> Any:
    return state._replace(tau=pace * first.tau, sigma=first.sigma / pace)


def _pace_penalty(state: Any, first: Any, pace: Tensor) -> Any:
    return state._replace(penalty=pace * first.penalty)


_ALGORITHMS = {
    "gradient": _Algorithm(ProximalGradient(tolerance=None, accelerated=False), _pace_tau),
    "fista": _Algorithm(ProximalGradient(tolerance=None, restart=False), _pace_tau),
    "primal_dual": _Algorithm(PrimalDual(tolerance=None), _pace_both),
    "admm": _Algorithm(ADMM(tolerance=None), _pace_penalty),
}


class Posed(NamedTuple):
    """The data fidelity, and the first state, which holds the step sizes by default."""

    data: LeastSquares
    first: Any


@final
class AlgorithmStep(LearnedStep):
    r"""The step of a classical algorithm for :math:`\tfrac12 \|A x - y\|^2 + \lambda\, g(x)`.

    Trained are the step size, as a multiple of the classical one, the weight of the prior, and the denoiser with the
    noise level that it is told, if a denoiser takes the place of the prior. Untrained, n of these steps are the
    algorithm, started from the same image and stopped after n steps.

    Parameters
    ----------
    prior : Functional or callable
        A prior of `wellposed.optim`, or a denoiser, `denoiser(x, sigma)`, which stands for a proximal step
        (plug-and-play) or a gradient (RED).
    algorithm : {"gradient", "fista", "primal_dual", "admm"}
        `ProximalGradient` without and with momentum, `PrimalDual`, `ADMM`.
    weight : float or sequence of float
        The weight lambda; a denoiser for a proximal step has none.
    sigma : float or sequence of float
        What a denoiser is told, in the unit of the image.
    pace : float or sequence of float
        The step size over the classical one: of tau, of tau and 1 / sigma in "primal_dual", of the penalty in "admm".
    denoise_by : {"prox", "red"}
        What a denoiser stands for.
    start : {"adjoint", "smooth", "zero"}
        Where to start.

    Raises
    ------
    UnknownNameError
        If there is no such algorithm, role or start.
    ArgumentError
        If a number is not positive, or the prior neither a prior nor a function.

    References
    ----------
    Gregor and LeCun, *Learning fast approximations of sparse coding*, ICML 2010. Adler and Oktem, *Learned primal-dual
    reconstruction*, IEEE Trans. Medical Imaging 37 (2018). Yang, Sun, Li, Xu, *Deep ADMM-Net for compressive sensing
    MRI*, NeurIPS 2016. Gilton, Ongie, Willett, *Deep equilibrium architectures for inverse problems in imaging*, IEEE
    Trans. Comput. Imaging 7 (2021), arXiv:2102.07944.

    Examples
    --------
    >>> import torch
    >>> import wellposed as wp
    >>> from wellposed.models import Unrolled
    >>> physics = wp.Physics(wp.operators.Identity((1, 2, 2)))
    >>> soft = Unrolled(AlgorithmStep(wp.optim.L1Norm(), weight=0.25), n_iter=1)
    >>> soft(torch.ones(1, 1, 2, 2), physics).mean().item()
    0.75
    """

    def __init__(
        self,
        prior: Functional | Callable[[Tensor, Tensor], Tensor],
        algorithm: Literal["gradient", "fista", "primal_dual", "admm"] = "gradient",
        *,
        weight: Numbers = 1.0,
        sigma: Numbers = 0.05,
        pace: Numbers = 1.0,
        denoise_by: Literal["prox", "red"] = "prox",
        start: Start = "adjoint",
    ) -> None:
        super().__init__()
        check_name("algorithm", algorithm, _ALGORITHMS)
        check_name("way to denoise", denoise_by, ("prox", "red"))
        check_name("start", start, ("adjoint", "smooth", "zero"))
        is_prior = isinstance(prior, Functional)
        if not is_prior:
            check_callable("AlgorithmStep", "the prior", prior)
        self.prior, self.algorithm, self.denoise_by, self.start = prior, algorithm, denoise_by, start
        self.weight, self.sigma, self.pace = weight, sigma, pace
        self.weights = Positive("weight", weight) if is_prior or denoise_by == "red" else None
        self.levels = None if is_prior else Positive("sigma", sigma)
        self.paces = Positive("pace", pace)

    def pose(self, y: Tree, physics: Physics) -> tuple[Posed, Any]:
        """Return the data fidelity with the default step sizes, and the first state."""
        data = LeastSquares(physics.linear_operator, y)
        x0 = first_image(data, self.start)
        first = _ALGORITHMS[self.algorithm].method.init(self._problem(data, 0), x0)
        return Posed(data, first), first

    def step(self, problem: Posed, state: Any, index: int) -> Any:
        """Take the step of the algorithm, at its pace."""
        method, set_pace = _ALGORITHMS[self.algorithm]
        state = set_pace(state, problem.first, self.paces(index))
        return method.step(self._problem(problem.data, index), state)

    def read(self, state: Any) -> Tree:
        """Return the image, and the dual variables of "primal_dual" and "admm"."""
        self._check_memory()
        return variables(_ALGORITHMS[self.algorithm].method).read(state)

    def write(self, state: Any, variables_: Tree) -> Any:
        """Return the state with these variables."""
        self._check_memory()
        return variables(_ALGORITHMS[self.algorithm].method).write(state, variables_)

    def _problem(self, data: LeastSquares, index: int) -> RegularisedProblem:
        if isinstance(self.prior, Functional):
            prior: Functional = self.prior
        else:
            assert self.levels is not None  # noqa: S101
            kind = DenoiserProx if self.denoise_by == "prox" else RED
            prior = kind(in_kind(self.prior), self.levels(index))
        return RegularisedProblem(data, Term(prior, 1.0 if self.weights is None else self.weights(index)))

    def _check_memory(self) -> None:
        if self.algorithm == "fista":
            raise UnsupportedError("a step of 'fista' depends on its own momentum: take algorithm='gradient'.")
