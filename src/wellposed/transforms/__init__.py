"""Transforms: groups that act on images; each draws a motion, which moves images and has an inverse."""

from wellposed.transforms.base import Compose, Motion, Transform
from wellposed.transforms.diffeomorphism import Diffeomorphism
from wellposed.transforms.permutations import Permute, Reflect, Shift, TimeShift
from wellposed.transforms.projective import Homography, Scale
from wellposed.transforms.rotate import Rotate

__all__ = [
    "Compose",
    "Diffeomorphism",
    "Homography",
    "Motion",
    "Permute",
    "Reflect",
    "Rotate",
    "Scale",
    "Shift",
    "TimeShift",
    "Transform",
]
