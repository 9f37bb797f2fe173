"""Noise models: one file a family."""

from wellposed.noise.base import NoiseModel
from wellposed.noise.compose import Compose
from wellposed.noise.gamma import Gamma
from wellposed.noise.gaussian import Gaussian
from wellposed.noise.laplace import Laplace
from wellposed.noise.log_poisson import LogPoisson
from wellposed.noise.none import NoNoise
from wellposed.noise.per_part import PerPart
from wellposed.noise.poisson import Poisson, PoissonGaussian
from wellposed.noise.rician import Rician
from wellposed.noise.salt_pepper import SaltPepper
from wellposed.noise.uniform import Uniform

__all__ = [
    "Compose",
    "Gamma",
    "Gaussian",
    "Laplace",
    "LogPoisson",
    "NoNoise",
    "NoiseModel",
    "PerPart",
    "Poisson",
    "PoissonGaussian",
    "Rician",
    "SaltPepper",
    "Uniform",
]
