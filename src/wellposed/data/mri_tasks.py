"""The tasks of MRI beyond one coil on the grid: many coils, and radial spokes."""

from __future__ import annotations

import math
from functools import partial
from typing import cast

import torch
from torch import Tensor

from wellposed.core.rng import uniform_like
from wellposed.data.coil_maps import birdcage_maps
from wellposed.data.masks import cartesian_mask
from wellposed.data.noise_families import FixedGaussian
from wellposed.data.task import Task
from wellposed.data.trajectories import radial_trajectory
from wellposed.operators import CartesianMRI, NonCartesianMRI

__all__ = ["MRI_TASKS", "multicoil_mri", "radial_mri"]


def multicoil_mri(
    x: Tensor, generator: torch.Generator, *, n_coils: int, acceleration: float, center_fraction: float
) -> CartesianMRI:
    """Return columns of k-space as a birdcage of coils measures them, turned by a random angle for each image.

    Parameters
    ----------
    x : Tensor, shape (B, 1, H, W), complex
    generator : torch.Generator
    n_coils : int
    acceleration, center_fraction : float
        As in `cartesian_mask`.
    """
    shape = cast("tuple[int, int, int]", tuple(x.shape[1:]))
    mask = cartesian_mask(
        len(x), shape, acceleration=acceleration, center_fraction=center_fraction, generator=generator
    )
    turn = uniform_like(torch.empty(len(x), dtype=x.real.dtype, device=x.device), generator) * (2 * math.pi)
    return CartesianMRI(mask.to(x.device, x.real.dtype), shape, birdcage_maps(n_coils, shape[1:], rotation=turn))


def radial_mri(x: Tensor, _generator: torch.Generator, *, acceleration: float) -> NonCartesianMRI:
    r"""Return evenly spaced spokes, :math:`\pi N / 2 a` of N samples for images N pixels wide at acceleration a.

    Parameters
    ----------
    x : Tensor, shape (B, 1, H, W), complex
    acceleration : float
        1 samples the edge of k-space as densely as its spokes.
    """
    width = max(x.shape[-2:])
    spokes = max(round(math.pi / 2 * width / acceleration), 1)
    return NonCartesianMRI(radial_trajectory(spokes, width).to(x.device, x.real.dtype), tuple(x.shape[1:]))


MRI_TASKS = [
    Task(
        "mcmri-x8",
        "multi-coil MRI (15 coils), 1 of 8 columns of k-space, noise 0.0005",
        partial(multicoil_mri, n_coils=15, acceleration=8, center_fraction=0.04),
        FixedGaussian(5e-4),
        images="complex",
        min_size=8,
    ),
    Task(
        "radial-x4",
        "single-coil MRI, 1 of 4 radial spokes, noise 0.0005",
        partial(radial_mri, acceleration=4),
        FixedGaussian(5e-4),
        images="complex",
        min_size=8,
    ),
]
"""That of 15 coils is the multi-coil problem of arXiv:2503.08915, with a birdcage for its simulated maps."""
