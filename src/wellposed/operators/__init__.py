"""Operators: one file an acquisition, and their algebra."""

from wellposed.operators.algebra import Adjoint, Compose, Gram, Scaled, Stack, Sum
from wellposed.operators.base import LinearOperator, Operator
from wellposed.operators.bayer import BayerMosaic
from wellposed.operators.blur import Blur
from wellposed.operators.cartesian_mri import CartesianMRI
from wellposed.operators.coarse import Coarse
from wellposed.operators.crop import Crop
from wellposed.operators.downsample import Downsample
from wellposed.operators.finite_differences import FiniteDifferences
from wellposed.operators.functions import FromFunctions
from wellposed.operators.identity import Identity
from wellposed.operators.mask import Mask
from wellposed.operators.non_cartesian_mri import NonCartesianMRI
from wellposed.operators.nufft import NUFFT
from wellposed.operators.per_slice import PerSlice
from wellposed.operators.sequential_mri import SequentialMRI
from wellposed.operators.spectral_response import SpectralResponse
from wellposed.operators.tomography import ConeBeam3D, FanBeam2D, ParallelBeam2D, ParallelBeam3D
from wellposed.operators.undecimated_wavelets import UndecimatedWavelets
from wellposed.operators.wavelets import Wavelets

__all__ = [
    "NUFFT",
    "Adjoint",
    "BayerMosaic",
    "Blur",
    "CartesianMRI",
    "Coarse",
    "Compose",
    "ConeBeam3D",
    "Crop",
    "Downsample",
    "FanBeam2D",
    "FiniteDifferences",
    "FromFunctions",
    "Gram",
    "Identity",
    "LinearOperator",
    "Mask",
    "NonCartesianMRI",
    "Operator",
    "ParallelBeam2D",
    "ParallelBeam3D",
    "PerSlice",
    "Scaled",
    "SequentialMRI",
    "SpectralResponse",
    "Stack",
    "Sum",
    "UndecimatedWavelets",
    "Wavelets",
]
