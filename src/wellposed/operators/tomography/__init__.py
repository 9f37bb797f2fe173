"""Tomography: line integrals of images and volumes, and their filtered backprojection."""

from wellposed.operators.tomography.fan import FanBeam2D
from wellposed.operators.tomography.parallel import ParallelBeam2D

__all__ = ["FanBeam2D", "ParallelBeam2D"]
