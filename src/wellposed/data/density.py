r"""Density compensation: weights with which the adjoint of a trajectory is nearly its inverse.

.. math:: A^H \mathrm{diag}(w) A \approx I

Each weight is the share of k-space that belongs to its sample, in units of :math:`(2 \pi)^d / N` for N pixels.
"""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from wellposed.core.arguments import check_whole
from wellposed.core.names import optional_import
from wellposed.data.trajectories import radial_trajectory
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


def voronoi_density(trajectory: Tensor, size: tuple[int, ...]) -> Tensor:
    """Return the areas, or in three dimensions the volumes, of the Voronoi cells of samples; one place shares its cell.

    A shell of helpers just outside bounds the cells at the edge.

    Parameters
    ----------
    trajectory : Tensor, shape (B or 1, ..., d) with d = 2 or 3
        In radians per pixel.
    size : tuple of int, (H, W) or (D, H, W)
        Of the image.

    Returns
    -------
    Tensor, shape (B or 1, 1, ...)

    Raises
    ------
    MissingDependencyError
        If SciPy is not installed.

    References
    ----------
    Rasche et al., *Resampling of data between arbitrary grids using convolution interpolation*, IEEE Trans. Medical
    Imaging 18 (1999).

    Examples
    --------
    >>> grid = 2 * math.pi / 8 * (torch.cartesian_prod(torch.arange(8.0), torch.arange(8.0)) - 4)
    >>> voronoi_density(grid[None], (8, 8))[0, 0].view(8, 8)[1:-1, 1:-1].mean().round(decimals=3).item()
    1.0
    """
    dimensions = trajectory.shape[-1]
    cells = torch.stack([_cell_sizes(points) for points in trajectory.detach().cpu().double().flatten(1, -2)])
    weights = cells * (math.prod(size) / (2 * math.pi) ** dimensions)
    return weights.view(len(trajectory), 1, *trajectory.shape[1:-1]).to(trajectory)


def _cell_sizes(points: Tensor) -> Tensor:
    """Return the area or volume of the cell of each point, shape (K,)."""
    spatial = optional_import("scipy.spatial", extra="mri")
    rounded = np.round(points.numpy(), 6)
    places, index, count = np.unique(rounded, axis=0, return_inverse=True, return_counts=True)
    diagram = spatial.Voronoi(np.concatenate([places, _shell(places)]))
    sizes = _sum_of_pyramids(diagram)[: len(places)]
    return torch.from_numpy((sizes / count)[index.reshape(-1)])


def _shell(places: np.ndarray) -> np.ndarray:
    """Return points on a circle or sphere around all places, as far apart and away as these are from each other."""
    dimensions = places.shape[1]
    radius = np.linalg.norm(places, axis=1).max()
    if dimensions == 2:
        gap = math.pi * radius / max(math.sqrt(math.pi * len(places)), 1)
        turn = np.linspace(0, 2 * math.pi, max(64, 2 * math.ceil(2 * math.pi * radius / gap)), endpoint=False)
        directions = np.stack([np.sin(turn), np.cos(turn)], axis=1)
    else:
        gap = radius * (4 * math.pi / 3 / len(places)) ** (1 / 3)
        half = radial_trajectory(max(64, math.ceil(4 * math.pi * (radius / gap) ** 2)), 2, dimensions=3)[0, :, 0]
        directions = np.concatenate([half.numpy(), -half.numpy()]) / math.pi
    return (radius + gap) * directions


def _sum_of_pyramids(diagram: Any) -> np.ndarray:
    """Return the size of each bounded cell: that of the pyramids from its point to its faces; others are smaller."""
    dimensions = diagram.points.shape[1]
    sizes, counts = np.zeros(len(diagram.points)), np.array([len(corners) for corners in diagram.ridge_vertices])
    for count in np.unique(counts):
        chosen = np.flatnonzero(counts == count)
        corners = np.array([diagram.ridge_vertices[ridge] for ridge in chosen])
        is_bounded = (corners >= 0).all(1)
        pairs = diagram.ridge_points[chosen[is_bounded]]
        height = 0.5 * np.linalg.norm(diagram.points[pairs[:, 0]] - diagram.points[pairs[:, 1]], axis=1)
        pyramid = _face_size(diagram.vertices[corners[is_bounded]]) * height / dimensions
        np.add.at(sizes, pairs, pyramid[:, None])
    return sizes


def _face_size(corners: np.ndarray) -> np.ndarray:
    """Return the lengths of edges (n, 2, 2), or the areas of polygons in space (n, corners in order, 3)."""
    if corners.shape[2] == 2:
        return np.linalg.norm(corners[:, 1] - corners[:, 0], axis=1)
    spokes = corners[:, 1:] - corners[:, :1]
    return 0.5 * np.linalg.norm(np.cross(spokes[:, :-1], spokes[:, 1:]).sum(1), axis=1)
