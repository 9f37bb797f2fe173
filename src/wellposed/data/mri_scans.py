"""From a scan to measurements and their physics: what a reconstruction starts from."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor

from wellposed.core.errors import FormatError, ShapeError
from wellposed.core.shapes import check_tensor
from wellposed.data._mri_scan import MRIScan
from wellposed.data.coils import root_sum_of_squares
from wellposed.data.density import pipe_menon_density
from wellposed.data.espirit import calibration_size, espirit_maps
from wellposed.noise import Gaussian
from wellposed.operators import CartesianMRI, LinearOperator, NonCartesianMRI
from wellposed.physics import Physics

__all__ = ["kspace_noise", "scan_measurements"]

_EDGE = 0.15
_KERNEL = 6


def kspace_noise(kspace: Tensor) -> Tensor:
    r"""Estimate the standard deviation of the noise from the samples at the edge of k-space, where little else is left.

    Their magnitudes are taken to follow a Rayleigh distribution, whose median is :math:`\sqrt{2 \ln 2}\, \sigma`, so
    that few samples with signal do little harm.

    Parameters
    ----------
    kspace : Tensor, shape (B, coils, H, W) or (B, coils, D, H, W), complex
        Centred, zero where it was not sampled.

    Returns
    -------
    Tensor, shape (B,)
        Of the real, and of the imaginary, part; zero where nothing was sampled.

    Examples
    --------
    >>> noise = torch.randn(1, 4, 64, 64, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    >>> kspace_noise(2**0.5 * noise).round(decimals=1)
    tensor([1.])
    """
    check_tensor("kspace_noise", "kspace", kspace)
    if kspace.ndim not in (4, 5):
        raise ShapeError(
            f"kspace_noise expects k-space (B, coils, H, W) or (B, coils, D, H, W), got {tuple(kspace.shape)}."
        )
    sampled = (kspace != 0).any(1).any(0)
    edge = torch.zeros_like(sampled)
    for axis in range(sampled.ndim):
        places = sampled.movedim(axis, 0).flatten(1).any(1).nonzero()[:, 0]
        count = max(math.ceil(_EDGE / 2 * len(places)), 1)
        edge.index_fill_(axis, torch.cat([places[:count], places[-count:]]), value=True)
    return _rayleigh(kspace[..., edge])


def _rayleigh(values: Tensor) -> Tensor:
    """Return the standard deviation of complex noise (B, ...), zeros left out, from its median magnitude."""
    magnitudes = values.abs().flatten(1)
    medians = torch.where(magnitudes > 0, magnitudes, torch.nan).nanmedian(dim=1).values
    return medians.nan_to_num() / math.sqrt(2 * math.log(2))


def scan_measurements(scan: MRIScan) -> tuple[Tensor, Physics]:
    """Return the k-space of a scan and its physics, in the unit in which zero filling gives images up to one.

    Off the grid that is gridding, with `pipe_menon_density`. Coil maps that the scan lacks are estimated by
    `espirit_maps`, from the gridded k-space where it is off the grid; the noise level is that of the samples at the
    edge of k-space, as `kspace_noise` has it.

    Parameters
    ----------
    scan : MRIScan

    Returns
    -------
    y : Tensor, shape (images, coils, ...), as the k-space of the scan
    physics : Physics
        Of images (1, H, W) or (1, D, H, W).

    Raises
    ------
    FormatError
        If maps are needed, and the middle of k-space is not sampled well enough to estimate them.

    Examples
    --------
    >>> from wellposed.data import MRIScan
    >>> y, physics = scan_measurements(MRIScan(torch.ones(2, 1, 8, 8) + 0j, torch.ones(1, 1, 1, 8)))
    >>> y.shape, physics.operator.image_shape
    (torch.Size([2, 1, 8, 8]), (1, 8, 8))
    """
    if scan.trajectory is None:
        images = _zero_filled(scan)
        maps = _missing_maps(scan, scan.kspace)
        operator: LinearOperator = CartesianMRI(scan.mask, (1, *scan.kspace.shape[2:]), maps)
        noise = kspace_noise(scan.kspace)
    else:
        images = _gridded(scan)
        full = torch.ones(1, 1, *[1] * (images.ndim - 2), device=images.device)
        middle = CartesianMRI(full, tuple(images.shape[1:]))(images)
        maps = _missing_maps(scan, cast("Tensor", middle))
        operator = NonCartesianMRI(scan.trajectory, (1, *images.shape[2:]), maps)
        noise = _outer_noise(scan.kspace, scan.trajectory)
    brightest = root_sum_of_squares(images).flatten(1).amax(1).clamp(min=torch.finfo(torch.float32).tiny)
    y = scan.kspace / brightest.view(-1, *[1] * (scan.kspace.ndim - 1))
    return y, Physics(operator, Gaussian(noise / brightest))


def _zero_filled(scan: MRIScan) -> Tensor:
    """Return the image of each coil, (images, coils, ...), by the adjoint."""
    return cast("Tensor", CartesianMRI(scan.mask, tuple(scan.kspace.shape[1:])).adjoint(scan.kspace))


def _gridded(scan: MRIScan) -> Tensor:
    """Return the image of each coil by the adjoint with density compensation."""
    trajectory, size = cast("Tensor", scan.trajectory), cast("tuple[int, ...]", scan.image_size)
    operator = NonCartesianMRI(trajectory, (scan.kspace.shape[1], *size))
    return cast("Tensor", operator.adjoint(pipe_menon_density(trajectory, size) * scan.kspace))


def _missing_maps(scan: MRIScan, kspace: Tensor) -> Tensor | None:
    """Return the coil maps of the scan, else estimates from k-space on the grid; None where one coil needs none."""
    if scan.coil_maps is not None or scan.kspace.shape[1] == 1:
        return scan.coil_maps
    size = calibration_size(kspace)
    if any(found < min(_KERNEL, length) for found, length in zip(size, kspace.shape[2:], strict=True)):
        raise FormatError(
            f"the scan has no coil maps, and only the middle {' x '.join(map(str, size))} of its k-space is fully "
            f"sampled, where ESPIRiT needs at least {' x '.join([str(_KERNEL)] * len(size))}: add an array 'coil_maps' "
            "to the file."
        )
    maps = espirit_maps(kspace, calibration=size)
    if not bool((maps != 0).flatten(1).any(1).all()):
        raise FormatError(
            "the scan has no coil maps, and ESPIRiT finds none in its k-space: add an array 'coil_maps' to the file."
        )
    return maps


def _outer_noise(kspace: Tensor, trajectory: Tensor) -> Tensor:
    """Return the noise of those samples that are farthest from the middle of k-space, shape (B,)."""
    distance = torch.linalg.vector_norm(trajectory, dim=-1).flatten(1)
    farthest = distance.topk(max(math.ceil(_EDGE * distance.shape[1]), 1), dim=1).indices
    samples = kspace.flatten(2)
    return _rayleigh(samples.gather(2, farthest[:, None].expand(*samples.shape[:2], -1)))
