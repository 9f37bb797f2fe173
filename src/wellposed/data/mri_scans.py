"""From a scan to measurements and their physics: what a reconstruction starts from."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor

from wellposed.core.errors import FormatError, ShapeError
from wellposed.core.shapes import check_tensor
from wellposed.data.coils import root_sum_of_squares
from wellposed.data.espirit import calibration_size, espirit_maps
from wellposed.data.mri_files import MRIScan
from wellposed.noise import Gaussian
from wellposed.operators import CartesianMRI
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
    kspace : Tensor, shape (B, coils, H, W), complex
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
    if kspace.ndim != 4:
        raise ShapeError(f"kspace_noise expects k-space (B, coils, H, W), got {tuple(kspace.shape)}.")
    sampled = (kspace != 0).any(1).any(0)
    edge = torch.zeros_like(sampled)
    for axis in (0, 1):
        places = sampled.any(1 - axis).nonzero()[:, 0]
        count = max(math.ceil(_EDGE / 2 * len(places)), 1)
        edge.index_fill_(axis, torch.cat([places[:count], places[-count:]]), value=True)
    values = kspace[..., edge].abs().flatten(1)
    medians = torch.where(values > 0, values, torch.nan).nanmedian(dim=1).values
    return medians.nan_to_num() / math.sqrt(2 * math.log(2))


def scan_measurements(scan: MRIScan) -> tuple[Tensor, Physics]:
    """Return the k-space of a scan and its physics, in the unit in which zero filling gives images up to one.

    Coil maps that the scan lacks are estimated by `espirit_maps`; the noise level is that of `kspace_noise`.

    Parameters
    ----------
    scan : MRIScan

    Returns
    -------
    y : Tensor, shape (slices, coils, H, W)
    physics : Physics
        Of images (1, H, W), one a slice.

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
    _, coils, height, width = scan.kspace.shape
    maps = scan.coil_maps
    if maps is None and coils > 1:
        size = calibration_size(scan.kspace)
        if min(size) < min(_KERNEL, height, width):
            raise FormatError(
                f"the scan has no coil maps, and only the middle {' x '.join(map(str, size))} of its k-space is fully "
                f"sampled, where ESPIRiT needs at least {_KERNEL} x {_KERNEL}: add an array 'coil_maps' to the file."
            )
        maps = espirit_maps(scan.kspace, calibration=size)
    images = CartesianMRI(scan.mask, (coils, height, width)).adjoint(scan.kspace)
    brightest = (
        root_sum_of_squares(cast("Tensor", images)).flatten(1).amax(1).clamp(min=torch.finfo(torch.float32).tiny)
    )
    y = scan.kspace / brightest.view(-1, 1, 1, 1)
    return y, Physics(CartesianMRI(scan.mask, (1, height, width), maps), Gaussian(kspace_noise(y)))
