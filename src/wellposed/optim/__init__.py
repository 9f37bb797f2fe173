"""Reconstruction by optimisation."""

from wellposed.optim.data_fidelity import LeastSquares
from wellposed.optim.noise_level import NoiseLevels, noise_levels
from wellposed.optim.primal_dual import PrimalDual, RegularisedProblem
from wellposed.optim.smooth_start import smooth_start
from wellposed.optim.total_variation import TotalVariation

__all__ = [
    "LeastSquares",
    "NoiseLevels",
    "PrimalDual",
    "RegularisedProblem",
    "TotalVariation",
    "noise_levels",
    "smooth_start",
]
