"""The losses that the contract is run on: at least one for every public class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

import wellposed as wp
from tests.support.tensors import random_tensor
from wellposed import losses
from wellposed.core.tree import Tree
from wellposed.losses import Loss
from wellposed.physics import Physics

SHAPE = (1, 4, 4)
MASKS = (random_tensor(2, *SHAPE, seed=8) > -0.7).double()


def denoising(noise: wp.noise.NoiseModel | None = None) -> Physics:
    return Physics(wp.operators.Identity(), noise or wp.noise.Gaussian(0.2))


def inpainting() -> Physics:
    return Physics(wp.operators.Mask(MASKS), wp.noise.Gaussian(0.2))


def positive() -> torch.Tensor:
    return random_tensor(2, *SHAPE, seed=1).abs() + 0.2


class Judge(torch.nn.Module):
    """A smooth discriminator."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(random_tensor(16, 3, seed=4) / 4)

    def forward(self, y: torch.Tensor) -> torch.Tensor:
        return (y.flatten(1) @ self.weight).tanh()


def frames() -> Tree:
    return random_tensor(2, 1, 4, 4, 4, seed=1).abs() + 0.2


def film() -> Physics:
    masks = (random_tensor(2, 1, 4, 4, 4, seed=8) > -0.7).double()
    return Physics(wp.operators.Compose(wp.operators.Mask(masks, (1, 4, 4, 4)), repeated()), wp.noise.Gaussian(0.2))


def repeated() -> wp.operators.LinearOperator:
    """An image that does not move, four times."""
    return wp.operators.FromFunctions(
        lambda x: x.unsqueeze(2).expand(-1, -1, 4, -1, -1), lambda y: y.sum(2), SHAPE, (1, 4, 4, 4)
    ).double()


def pair() -> Tree:
    return positive(), positive().flip(-1)


@dataclass(frozen=True)
class Case:
    """A loss, a physics and measurements that suit it."""

    make: Callable[[], Loss]
    physics: Callable[[], Physics] = inpainting
    y: Callable[[], Tree] = positive
    needs_truth: bool = False
    draws: bool = True
    """Whether it is random."""
    refused: Callable[[], Physics] | None = None
    """A physics that contradicts its assumption."""
    sentence: str = "NoNoise"


def counting() -> Tree:
    return 0.1 * (10 * positive()).round()


def silent() -> Physics:
    return Physics(wp.operators.Mask(MASKS))


CASES = {
    "L1": Case(losses.L1, needs_truth=True, draws=False),
    "L2": Case(losses.L2, needs_truth=True, draws=False),
    "MeasurementConsistency": Case(losses.MeasurementConsistency, draws=False),
    "SURE": Case(losses.SURE, refused=silent),
    "SURE-autograd": Case(lambda: losses.SURE(step=None)),
    "SURE-Poisson": Case(
        losses.SURE,
        lambda: denoising(wp.noise.Poisson(0.1)),
        refused=lambda: denoising(wp.noise.Gamma(3)),
        sentence="Gamma",
    ),
    "ENSURE": Case(lambda: losses.ENSURE(torch.full((1, 1, 4, 4), 0.6)), refused=silent),
    "ENSURE-autograd": Case(
        lambda: losses.ENSURE(torch.full((1, 1, 4, 4), 0.6), step=None), refused=denoising, sentence="use SURE"
    ),
    "UNSURE": Case(losses.UNSURE, silent),
    "UNSURE-covariance": Case(lambda: losses.UNSURE("covariance"), silent),
    "UNSURE-poisson_gaussian": Case(lambda: losses.UNSURE("poisson_gaussian", step=None), silent),
    "R2R": Case(losses.R2R, refused=silent),
    "R2R-Poisson": Case(losses.R2R, lambda: denoising(wp.noise.Poisson(0.1)), counting),
    "R2R-Gamma": Case(losses.R2R, lambda: denoising(wp.noise.Gamma(4))),
    "Splitting": Case(lambda: losses.Splitting(ratio=0.6)),
    "Splitting-rows": Case(lambda: losses.Splitting(ratio=0.6, pattern="rows", compare="kept back")),
    "Splitting-robust": Case(lambda: losses.R2R() + losses.Splitting(ratio=0.6, compare="kept back")),
    "ssdu": Case(lambda: replace(losses.ssdu(0.5, sampling=torch.full((1, 1, 4, 4), 0.6)), centre=1)),
    "EquivariantSplitting": Case(lambda: losses.EquivariantSplitting(ratio=0.6)),
    "EquivariantSplitting-robust": Case(lambda: losses.R2R() + losses.EquivariantSplitting(ratio=0.6)),
    "MultiOperatorImaging": Case(losses.MultiOperatorImaging, refused=denoising, sentence="operators="),
    "EquivariantImaging": Case(lambda: losses.EquivariantImaging(wp.transforms.Shift())),
    "EquivariantImaging-robust": Case(
        lambda: losses.SURE() + 0.1 * losses.EquivariantImaging(wp.transforms.Rotate(order=None), noisy=False)
    ),
    "MultiOperatorEquivariantImaging": Case(
        lambda: losses.MultiOperatorEquivariantImaging(wp.transforms.Shift()), refused=denoising, sentence="operators="
    ),
    "AmbientGAN": Case(lambda: losses.AmbientGAN(Judge())),
    "AmbientGAN-least-squares": Case(lambda: losses.AmbientGAN(Judge(), game="least squares")),
    "UAIR": Case(lambda: losses.UAIR(Judge(), consistency=0.5)),
    "TotalVariation": Case(losses.TotalVariation, draws=False),
    "phase2phase": Case(losses.phase2phase, film, frames),
    "Artifact2Artifact": Case(losses.Artifact2Artifact, film, frames),
    "Noise2Noise": Case(losses.Noise2Noise, y=pair, draws=False),
    "Neighbor2Neighbor": Case(
        lambda: losses.Neighbor2Neighbor(regularisation=0), denoising, refused=inpainting, sentence="Splitting"
    ),
    "Noise2Score": Case(losses.Noise2Score, denoising, refused=inpainting, sentence="Splitting"),
    "Noise2Void": Case(lambda: losses.Noise2Void(fraction=0.4), denoising, refused=inpainting, sentence="Splitting"),
    "Noise2Self": Case(lambda: losses.Noise2Self(spacing=2), denoising, refused=inpainting, sentence="Splitting"),
    "JacobianNorm": Case(lambda: losses.JacobianNorm(iterations=100)),
    "JacobianNorm-plain": Case(lambda: losses.JacobianNorm(iterations=100, firm=False)),
}
NO_EXAMPLE = {
    "Choice",
    "Companion",
    "Discriminator",
    "Draw",
    "DrawingLoss",
    "DrawnInput",
    "Game",
    "HeldOut",
    "Knowledge",
    "Loss",
    "Multipliers",
    "Ramp",
    "Reconstructor",
    "SSIM",
    "Scheme",
    "Sum",
    "Weighted",
    "adapted_for_test",
    "choose_loss",
    "hold_out",
    "phase2phase",
    "virtual_losses",
}
