"""Reconstruction by optimisation."""

from wellposed.optim.accelerated import Accelerated
from wellposed.optim.admm import ADMM, DouglasRachford
from wellposed.optim.composite import Composite, StackedDistance
from wellposed.optim.data_fidelity import LeastSquares
from wellposed.optim.denoiser_priors import RED, DenoiserProx, GradientStep, Score
from wellposed.optim.distances import AbsoluteDistance, BallIndicator, SquaredDistance, WeightedSquaredDistance
from wellposed.optim.dpir import DPIR
from wellposed.optim.dual_prox import DualDescent, ProximalStep
from wellposed.optim.functional import Functional
from wellposed.optim.half_quadratic import HQS, DenoiserFunction, PlugAndPlay
from wellposed.optim.history import history
from wellposed.optim.likelihoods import LogPoissonLikelihood, PoissonLikelihood
from wellposed.optim.noise_level import NoiseLevels, noise_levels
from wellposed.optim.norms import GroupNorm, L1Norm, SquaredNorm, Zero
from wellposed.optim.ordered_subsets import ordered_subsets
from wellposed.optim.phase_distances import AmplitudeDistance, IntensityDistance
from wellposed.optim.primal_dual import PrimalDual
from wellposed.optim.problem import Guarantee, RegularisedProblem, Term
from wellposed.optim.proximal_gradient import ProximalGradient
from wellposed.optim.smooth_start import smooth_start
from wellposed.optim.stopping import Discrepancy, ObjectiveChange, RelativeChange, StoppingRule
from wellposed.optim.tomographic import MLEM, SIRT
from wellposed.optim.total_generalised_variation import TotalGeneralisedVariation
from wellposed.optim.total_variation import TotalVariation
from wellposed.optim.wavelets import wavelet_dictionary, wavelet_prior

__all__ = [
    "ADMM",
    "DPIR",
    "HQS",
    "MLEM",
    "RED",
    "SIRT",
    "AbsoluteDistance",
    "Accelerated",
    "AmplitudeDistance",
    "BallIndicator",
    "Composite",
    "DenoiserFunction",
    "DenoiserProx",
    "Discrepancy",
    "DouglasRachford",
    "DualDescent",
    "Functional",
    "GradientStep",
    "GroupNorm",
    "Guarantee",
    "IntensityDistance",
    "L1Norm",
    "LeastSquares",
    "LogPoissonLikelihood",
    "NoiseLevels",
    "ObjectiveChange",
    "PlugAndPlay",
    "PoissonLikelihood",
    "PrimalDual",
    "ProximalGradient",
    "ProximalStep",
    "RegularisedProblem",
    "RelativeChange",
    "Score",
    "SquaredDistance",
    "SquaredNorm",
    "StackedDistance",
    "StoppingRule",
    "Term",
    "TotalGeneralisedVariation",
    "TotalVariation",
    "WeightedSquaredDistance",
    "Zero",
    "history",
    "noise_levels",
    "ordered_subsets",
    "smooth_start",
    "wavelet_dictionary",
    "wavelet_prior",
]
