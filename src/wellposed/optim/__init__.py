"""Reconstruction by optimisation."""

from wellposed.optim.data_fidelity import LeastSquares
from wellposed.optim.noise_level import backprojected_noise
from wellposed.optim.primal_dual import PrimalDual, RegularisedProblem
from wellposed.optim.total_variation import TotalVariation

__all__ = ["LeastSquares", "PrimalDual", "RegularisedProblem", "TotalVariation", "backprojected_noise"]
