r"""Density compensation: weights with which the adjoint of a trajectory is nearly its inverse.

.. math:: A^H \mathrm{diag}(w) A \approx I

Each weight is the share of k-space that belongs to its sample, in units of :math:`(2 \pi)^d / N` for N pixels.
"""

from __future__ import annotations

import math
from typing import cast

import numpy as np
import torch
from torch import Tensor

from wellposed.core.arguments import check_whole
from wellposed.core.errors import UnsupportedError
from wellposed.core.names import optional_import
from wellposed.operators import NUFFT

__all__ = ["pipe_menon_density", "ramp_density", "voronoi_density"]


def ramp_density(trajectory: Tensor, size: tuple[int, ...]) -> Tensor:
    r"""Return weights that grow as :math:`|k|^{d-1}`: right for spokes that divide the angles evenly.

    All together they are the share of the ball :math:`|k| \le \pi`. The sample in the very middle has what belongs to
    a quarter of the distance between samples.

    Parameters
    ----------
    trajectory : Tensor, shape (B or 1, spokes, samples, d)
        In radians per pixel.
    size : tuple of int
        Of the image.

    Returns
    -------
    Tensor, shape (B or 1, 1, spokes, samples)

    Examples
    --------
    >>> from wellposed.data import radial_trajectory
    >>> ramp_density(radial_trajectory(2, 4), (4, 4))[0, 0, 0] / torch.pi
    tensor([0.9412, 0.4706, 0.1176, 0.4706])
    """
    dimensions = trajectory.shape[-1]
    distance = torch.linalg.vector_norm(trajectory, dim=-1)
    step = torch.linalg.vector_norm(trajectory.diff(dim=-2), dim=-1).flatten(1).amin(1)
    weights = torch.maximum(distance, step.view(-1, *[1] * (distance.ndim - 1)) / 4) ** (dimensions - 1)
    ball = math.prod(size) * (math.pi / 4 if dimensions == 2 else math.pi / 6)
    total = weights.flatten(1).sum(1).view(-1, *[1] * (weights.ndim - 1))
    return (ball * weights / total).unsqueeze(1)


def pipe_menon_density(trajectory: Tensor, size: tuple[int, ...], *, n_iter: int = 20) -> Tensor:
    r"""Return the fixed point of :math:`w \leftarrow w / (A\, \mathrm{diag}(h) A^H w)`: for any trajectory.

    A samples images of nearly twice the size, as far as two pixels can be apart, and h is a triangle along each axis,
    one in the middle and zero at the borders: so k-space is smoothed by a kernel that is nowhere negative,
    :math:`\mathrm{sinc}^2`.

    Parameters
    ----------
    trajectory : Tensor, shape (B or 1, ..., d)
        In radians per pixel.
    size : tuple of int
        Of the image.
    n_iter : int

    Returns
    -------
    Tensor, shape (B or 1, 1, ...)

    References
    ----------
    Pipe and Menon, *Sampling density compensation in MRI: rationale and an iterative numerical solution*, Magnetic
    Resonance in Medicine 41 (1999).

    Examples
    --------
    >>> grid = 2 * math.pi / 8 * (torch.cartesian_prod(torch.arange(8.0), torch.arange(8.0)) - 4)
    >>> pipe_menon_density(grid[None], (8, 8)).mean().round(decimals=3).item()
    1.0
    """
    check_whole("pipe_menon_density", "n_iter", n_iter, least=1)
    doubled = tuple(2 * length - 1 for length in size)
    operator = NUFFT(trajectory, (1, *doubled))
    triangle = _triangle(size, trajectory)
    weights = torch.ones(len(trajectory), 1, *trajectory.shape[1:-1], dtype=trajectory.dtype, device=trajectory.device)
    for _ in range(n_iter):
        weights = weights / _smoothed(operator, triangle, weights)
    return weights * (math.prod(size) / math.prod(doubled))


def _smoothed(operator: NUFFT, triangle: Tensor, weights: Tensor) -> Tensor:
    image = cast("Tensor", operator.adjoint(weights.to(weights.dtype.to_complex())))
    return cast("Tensor", operator(triangle * image)).abs()


def _triangle(size: tuple[int, ...], like: Tensor) -> Tensor:
    """Return the product of 1 - |m| / N along each axis, for m from -(N - 1) to N - 1."""
    product = torch.ones((), dtype=like.dtype, device=like.device)
    for axis, length in enumerate(size):
        distance = torch.arange(1 - length, length, dtype=like.dtype, device=like.device).abs()
        product = product * (1 - distance / length).view(-1, *[1] * (len(size) - 1 - axis))
    return product


def voronoi_density(trajectory: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the areas of the Voronoi cells of samples in the plane; samples at one place share its cell.

    A ring of helpers just outside bounds the cells at the edge.

    Parameters
    ----------
    trajectory : Tensor, shape (B or 1, ..., 2)
        In radians per pixel.
    size : tuple of int, (H, W)
        Of the image.

    Returns
    -------
    Tensor, shape (B or 1, 1, ...)

    Raises
    ------
    UnsupportedError
        If the trajectory is not in a plane.
    MissingDependencyError
        If SciPy is not installed.

    References
    ----------
    Rasche et al., *Resampling of data between arbitrary grids using convolution interpolation*, IEEE Trans. Medical
    Imaging 18 (1999).
    """
    if trajectory.shape[-1] != 2:
        raise UnsupportedError("voronoi_density works in two dimensions: use pipe_menon_density for volumes.")
    areas = torch.stack([_cell_areas(points) for points in trajectory.detach().cpu().double().flatten(1, -2)])
    weights = areas * (math.prod(size) / (2 * math.pi) ** 2)
    return weights.view(len(trajectory), 1, *trajectory.shape[1:-1]).to(trajectory)


def _cell_areas(points: Tensor) -> Tensor:
    """Return the area of the cell of each point, shape (K,)."""
    spatial = optional_import("scipy.spatial", extra="mri")
    rounded = np.round(points.numpy(), 6)
    places, index, count = np.unique(rounded, axis=0, return_inverse=True, return_counts=True)
    distance = np.linalg.norm(places, axis=1)
    gap = math.pi * distance.max() / max(math.sqrt(math.pi * len(places)), 1)
    turn = np.linspace(0, 2 * math.pi, max(64, 2 * math.ceil(2 * math.pi * distance.max() / gap)), endpoint=False)
    ring = (distance.max() + gap) * np.stack([np.sin(turn), np.cos(turn)], axis=1)
    diagram = spatial.Voronoi(np.concatenate([places, ring]))
    areas = np.array(
        [_polygon_area(diagram.vertices[diagram.regions[diagram.point_region[i]]]) for i in range(len(places))]
    )
    return torch.from_numpy((areas / count)[index.reshape(-1)])


def _polygon_area(corners: np.ndarray) -> float:
    """Return the area of a convex polygon whose corners are in order."""
    x, y = corners.T
    return 0.5 * abs(float(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))))
