"""The noise models that the contract is run on: at least one for every public class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from wellposed import noise
from wellposed.core.tree import Tree
from wellposed.noise import NoiseModel


@dataclass(frozen=True)
class Case:
    """A model, one of its parameters, and two values for it that make a difference."""

    make: Callable[[], NoiseModel]
    parameter: str = ""
    values: tuple[float, float] = (0.0, 0.0)
    takes_complex: bool = False
    parts: int = 1
    differentiable: tuple[str, ...] = ()
    """What the draw can be differentiated in: "clean" and names of parameters."""

    def clean(self, *shape: int, dtype: torch.dtype = torch.float64) -> Tree:
        """Give intensities between 0.1 and 2, one level per channel."""
        levels = torch.linspace(0.1, 2, shape[1], dtype=dtype).view(1, -1, *[1] * (len(shape) - 2))
        image = levels.expand(shape).clone()
        return image if self.parts == 1 else tuple(image * (part + 1) for part in range(self.parts))


CASES = {
    "NoNoise": Case(noise.NoNoise, takes_complex=True, differentiable=("clean",)),
    "Gaussian": Case(
        lambda: noise.Gaussian(0.3), "sigma", (0.01, 0.7), takes_complex=True, differentiable=("clean", "sigma")
    ),
    "Poisson": Case(lambda: noise.Poisson(0.3), "gain", (0.01, 0.6)),
    "PoissonGaussian-gain": Case(
        lambda: noise.PoissonGaussian(0.3, 0.1), "gain", (0.01, 0.6), differentiable=("sigma",)
    ),
    "PoissonGaussian-sigma": Case(lambda: noise.PoissonGaussian(0.01, 0.2), "sigma", (0.02, 0.9)),
    "Uniform": Case(lambda: noise.Uniform(0.5), "amplitude", (0.02, 0.9), differentiable=("clean", "amplitude")),
    "Laplace": Case(lambda: noise.Laplace(0.2), "scale", (0.01, 0.8), differentiable=("clean", "scale")),
    "Gamma": Case(lambda: noise.Gamma(3.0), "looks", (0.7, 30.0), differentiable=("clean",)),
    "Rician": Case(lambda: noise.Rician(0.4), "sigma", (0.01, 1.5), differentiable=("clean", "sigma")),
    "SaltPepper-salt": Case(lambda: noise.SaltPepper(0.1, 0.3), "salt", (0.02, 0.6)),
    "SaltPepper-pepper": Case(lambda: noise.SaltPepper(0.2, 0.1), "pepper", (0.05, 0.7)),
    "LogPoisson-photons": Case(lambda: noise.LogPoisson(20.0, 1.3), "photons", (3.0, 400.0)),
    "LogPoisson-attenuation": Case(lambda: noise.LogPoisson(100.0, 0.5), "attenuation", (0.1, 2.0)),
    "Compose": Case(lambda: noise.Gaussian(0.2) @ noise.Poisson(0.1), "sigma", (0.01, 0.8)),
    "Compose-multiplicative": Case(
        lambda: noise.SaltPepper(0.1, 0.2) @ noise.Gamma(4.0) @ noise.Uniform(0.1), "looks", (1.0, 50.0)
    ),
    "PerPart": Case(
        lambda: noise.PerPart((noise.Gaussian(0.2), noise.Gamma(5.0) @ noise.Poisson(0.1))),
        "sigma",
        (0.01, 0.8),
        parts=2,
    ),
}
