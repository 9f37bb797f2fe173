"""Reconstruction by optimisation."""

from wellposed.optim.data_fidelity import LeastSquares
from wellposed.optim.dpir import DPIR
from wellposed.optim.half_quadratic import HQS, DenoiserFunction, PlugAndPlay
from wellposed.optim.noise_level import NoiseLevels, noise_levels
from wellposed.optim.primal_dual import PrimalDual, RegularisedProblem
from wellposed.optim.smooth_start import smooth_start
from wellposed.optim.total_variation import TotalVariation

__all__ = [
    "DPIR",
    "HQS",
    "DenoiserFunction",
    "LeastSquares",
    "NoiseLevels",
    "PlugAndPlay",
    "PrimalDual",
    "RegularisedProblem",
    "TotalVariation",
    "noise_levels",
    "smooth_start",
]
