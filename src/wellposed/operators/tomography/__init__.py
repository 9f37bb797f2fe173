"""Tomography: line integrals of images and volumes, and their filtered backprojection."""

from wellposed.operators.tomography.cone import ConeBeam3D
from wellposed.operators.tomography.fan import FanBeam2D
from wellposed.operators.tomography.parallel import ParallelBeam2D
from wellposed.operators.tomography.parallel_3d import ParallelBeam3D

__all__ = ["ConeBeam3D", "FanBeam2D", "ParallelBeam2D", "ParallelBeam3D"]
