"""The functions that the contract is run on: at least one for every public class with a proximal step or a gradient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from tests.support.tensors import random_tensor
from wellposed import optim
from wellposed.operators import Blur, Crop, Mask, Wavelets
from wellposed.optim import Functional

SHAPE = (1, 2, 3)
BATCH = 3


@dataclass(frozen=True)
class Case:
    """A function for measurements y of shape (n, *SHAPE), and what is known of it.

    `make(y, scale)` is homogeneous: scaling images, measurements and `scale` scales the function by `scale ** degree`.
    """

    make: Callable[[Tensor, float], Functional]
    degree: int = 2
    positive: bool = False
    takes_complex: bool = True
    tolerance: float = 1e-9


KERNEL = torch.tensor([[[[0.2, 0.5, 0.3]]]], dtype=torch.float64)
WEIGHT = torch.tensor([[[[0.5, 0.0, 2.0], [1.0, 3.0, 0.1]]]], dtype=torch.float64)

CASES = {
    "SquaredDistance": Case(lambda y, _s: optim.SquaredDistance(y)),
    "WeightedSquaredDistance": Case(lambda y, _s: optim.WeightedSquaredDistance(y, WEIGHT)),
    "AbsoluteDistance": Case(lambda y, _s: optim.AbsoluteDistance(y), degree=1),
    "BallIndicator": Case(lambda y, s: optim.BallIndicator(y, 0.7 * s), degree=0),
    "PoissonLikelihood": Case(
        lambda y, _s: optim.PoissonLikelihood(y, gain=0.3), degree=1, positive=True, takes_complex=False
    ),
    "PoissonLikelihood, background": Case(
        lambda y, s: optim.PoissonLikelihood(y, gain=2.0, background=0.4 * s),
        degree=1,
        positive=True,
        takes_complex=False,
    ),
    "LogPoissonLikelihood": Case(
        lambda y, s: optim.LogPoissonLikelihood(y, photons=3.0, attenuation=1.5 / s),
        degree=0,
        positive=True,
        takes_complex=False,
    ),
    "AmplitudeDistance": Case(lambda y, _s: optim.AmplitudeDistance(y.abs()), positive=True),
    "IntensityDistance": Case(lambda y, s: optim.IntensityDistance(s * y.abs()), degree=4, positive=True),
    "LeastSquares": Case(lambda y, _s: optim.LeastSquares(Mask(WEIGHT), y)),
    "LeastSquares, iterated": Case(
        lambda y, _s: optim.LeastSquares(Blur(KERNEL, SHAPE, padding="zero"), y), tolerance=1e-5
    ),
    "Composite": Case(
        lambda y, _s: optim.Composite(optim.AbsoluteDistance(y[..., 1:]), Crop(SHAPE, (0, 1), (2, 2))), degree=1
    ),
    "Zero": Case(lambda _y, _s: optim.Zero(), degree=0),
    "SquaredNorm": Case(lambda _y, _s: optim.SquaredNorm()),
    "L1Norm": Case(lambda _y, _s: optim.L1Norm(), degree=1),
    "L1Norm, weighted": Case(lambda _y, _s: optim.L1Norm(WEIGHT), degree=1),
    "GroupNorm": Case(lambda _y, _s: optim.GroupNorm((1, 3)), degree=1),
    "GroupNorm, weighted": Case(lambda _y, _s: optim.GroupNorm((1, 3), WEIGHT[..., :1]), degree=1),
    "TotalVariation": Case(
        lambda _y, _s: optim.TotalVariation(SHAPE, descent=optim.DualDescent(tolerance=1e-10, max_steps=3000)),
        degree=1,
        tolerance=1e-6,
    ),
    "TotalVariation, anisotropic": Case(
        lambda _y, _s: optim.TotalVariation(
            SHAPE, isotropic=False, descent=optim.DualDescent(tolerance=1e-10, max_steps=3000)
        ),
        degree=1,
        tolerance=1e-6,
    ),
    "wavelet_prior": Case(
        lambda _y, _s: optim.Composite(optim.L1Norm(), Wavelets(SHAPE, "db2", 1).to(torch.float64)), degree=1
    ),
}


def measurements(case: Case, *, make_complex: bool = False) -> Tensor:
    y = random_tensor(BATCH, *SHAPE, dtype=torch.complex128 if make_complex else torch.float64)
    return y.abs() if case.positive else y


def images(case: Case, seed: int = 5, *, make_complex: bool = False) -> Tensor:
    return 1.5 * random_tensor(BATCH, *SHAPE, seed=seed, dtype=torch.complex128 if make_complex else torch.float64)
