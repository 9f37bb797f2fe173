"""The reconstruction algorithms that the contract is run on: at least one case for every public class with a step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tests.support.tensors import random_tensor
from wellposed import optim
from wellposed.operators import Blur, Stack
from wellposed.optim import Composite, LeastSquares, PlugAndPlay, RegularisedProblem, Term
from wellposed.solvers import CG

SHAPE = (1, 4, 5)
BATCH = 3
KERNEL = torch.tensor([[[[0.1, 0.7, 0.2]]]], dtype=torch.float64)
WEIGHTS = torch.tensor([0.02, 0.1, 0.4], dtype=torch.float64)


@dataclass(frozen=True)
class Run:
    """A method, what it works on, and the state that it starts from."""

    method: Any
    problem: Any
    state: Any


@dataclass(frozen=True)
class Case:
    """How to run an algorithm on measurements y of some images of the batch.

    `make(y, scale, images)`: measurements, start, weights and levels scaled by `scale` scale the answer by it.
    """

    make: Callable[[Tensor, float, slice], Run]
    positive: bool = False


def measurements(case: Case) -> Tensor:
    y = random_tensor(BATCH, *SHAPE)
    return y.abs() + 0.1 if case.positive else y


def blur(y: Tensor) -> Blur:
    return Blur(KERNEL.to(y.dtype), SHAPE, padding="circular")


def weights(y: Tensor, scale: float, images: slice) -> Tensor:
    return scale * WEIGHTS[images].to(y.dtype)


def started(method: Any, problem: Any, x0: Tensor, **options: Any) -> Run:
    return Run(method, problem, method.init(problem, x0, **options))


def regularised(method: Any, *priors: Callable[[], Any]) -> Case:
    def make(y: Tensor, scale: float, images: slice) -> Run:
        terms = [Term(prior(), weights(y, scale, images)) for prior in priors]
        return started(method, RegularisedProblem(LeastSquares(blur(y), y), *terms), 0.3 * y)

    return Case(make)


def homogeneous(x: Tensor, sigma: Tensor) -> Tensor:
    """A denoiser for which scaling the image and the level scales the answer."""
    size, level = x.abs().amax(dim=(1, 2, 3), keepdim=True), sigma.view(-1, 1, 1, 1)
    return x * size / (size + level)


def half_quadratic(y: Tensor, scale: float, _images: slice) -> Run:
    method = optim.HQS(gamma=2.0, sigma=0.1 * scale, tolerance=1e-6, max_steps=500)
    return started(method, PlugAndPlay(LeastSquares(blur(y), y), homogeneous), 0.3 * y)


def scheduled(y: Tensor, scale: float, images: slice) -> Run:
    problem, noise = PlugAndPlay(LeastSquares(blur(y), y), homogeneous), weights(y, scale, images)
    return started(optim.DPIR(), problem, 0.3 * y, noise=noise, peak=scale)


def simultaneous(y: Tensor, _scale: float, _images: slice) -> Run:
    method = optim.SIRT(max_steps=500, tolerance=1e-5, relaxation=1.5)
    return started(method, RegularisedProblem(LeastSquares(blur(y), y)), 0.3 * y)


def counted(y: Tensor, _scale: float, _images: slice) -> Run:
    data = Composite(optim.PoissonLikelihood(y), blur(y))
    return started(optim.MLEM(tolerance=1e-4, max_steps=500), RegularisedProblem(data), 0.3 * y)


def counted_by_subsets(y: Tensor, scale: float, _images: slice) -> Run:
    stack = Stack((blur(y), 2 * blur(y)))
    distance = optim.StackedDistance((optim.PoissonLikelihood(y, scale), optim.PoissonLikelihood(2 * y, scale)))
    prior = Term(optim.SquaredNorm(), 0.1 / scale**2)
    method = optim.MLEM(tolerance=1e-5, max_steps=500)
    return started(method, RegularisedProblem(Composite(distance, stack), prior), 0.3 * y)


def dual(y: Tensor, scale: float, images: slice) -> Run:
    prior = optim.TotalVariation(SHAPE)
    problem = optim.ProximalStep(prior.functional, prior.operator, y, weights(y, scale, images))
    method = optim.DualDescent(tolerance=1e-5, max_steps=500)
    return Run(method, problem, method.init(problem))


L1, EDGES = optim.L1Norm, lambda: optim.TotalVariation(SHAPE)
CASES = {
    "PrimalDual": regularised(optim.PrimalDual(tolerance=1e-4), L1, EDGES),
    "ADMM": regularised(optim.ADMM(tolerance=1e-4, penalty=1.0, solver=CG(tolerance=1e-9, max_steps=12)), L1),
    "DouglasRachford": regularised(optim.DouglasRachford(tolerance=1e-6, gamma=3.0), L1),
    "ProximalGradient": regularised(optim.ProximalGradient(tolerance=1e-6), L1),
    "ProximalGradient, without restart": regularised(optim.ProximalGradient(tolerance=1e-6, restart=False), L1),
    "ProximalGradient, backtracking": regularised(optim.ProximalGradient(tolerance=1e-6, backtracking=True), L1),
    "ProximalGradient, plain descent": regularised(
        optim.ProximalGradient(tolerance=1e-5, accelerated=False, step_ratio=1.8)
    ),
    "Accelerated": regularised(optim.Accelerated(optim.PrimalDual(tolerance=1e-6)), L1),
    "HQS": Case(half_quadratic),
    "DPIR": Case(scheduled),
    "SIRT": Case(simultaneous),
    "MLEM": Case(counted, positive=True),
    "MLEM, subsets": Case(counted_by_subsets, positive=True),
    "DualDescent": Case(dual),
}
