"""A scan as a file holds it: k-space on the grid or off it, and what came with it."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

__all__ = ["MRIScan"]


class MRIScan(NamedTuple):
    """K-space of one or more slices or volumes, as a file holds it; what it does not hold is None."""

    kspace: Tensor
    """Shape (images, coils, H, W) or (images, coils, D, H, W), complex64; centred, zero where nothing was sampled. Off
    the grid (images, coils, shots, samples)."""

    mask: Tensor
    """Shape (images or 1, 1, H or 1, W), or with D or 1 before H: one where k-space is sampled; that of the file, or
    what is not zero. Off the grid (1, 1, 1, 1)."""

    target: Tensor | None = None
    """Shape (images, 1, h, w), float32: the reference magnitude."""

    coil_maps: Tensor | None = None
    """Shape (images or 1, coils, H, W) or (images or 1, coils, D, H, W), complex64."""

    trajectory: Tensor | None = None
    """Shape (images or 1, shots, samples, d), radians per pixel, rows before columns; None on the grid."""

    image_size: tuple[int, ...] | None = None
    """(H, W) or (D, H, W), of a scan off the grid; None on it."""

    affine: Tensor | None = None
    """Shape (4, 4), float64: from the indices of the image, of slices (H, W, slice), to millimetres as in NIfTI."""
