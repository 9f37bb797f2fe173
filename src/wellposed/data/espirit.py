"""ESPIRiT: the sensitivities of coils from the fully sampled middle of their k-space."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from wellposed.core.arguments import check_whole
from wellposed.core.errors import ArgumentError, DTypeError, ShapeError
from wellposed.core.precision import in_own_precision
from wellposed.core.shapes import check_tensor

__all__ = ["calibration_size", "espirit_maps"]

_LARGEST_CALIBRATION = 24


def espirit_maps(
    kspace: Tensor,
    *,
    calibration: int | tuple[int, ...] | None = None,
    kernel: int = 6,
    threshold: float = 0.02,
    crop: float = 0.95,
    n_sets: int = 1,
) -> Tensor:
    r"""Estimate coil maps from a calibration region in the middle of k-space.

    All small patches of the region, of all coils together, span a space of few dimensions; P projects on it. Averaged
    over the patches that a sample is in, P is a convolution of k-space, hence at each pixel a matrix of coils by coils,

    .. math::

        M_{ll'}(r) = \frac{1}{K} \sum_{\kappa, \kappa'} P_{l \kappa, l' \kappa'} e^{2 \pi i (\kappa - \kappa') r / N},

    and since k-space is not changed by it, the sensitivities are an eigenvector of M with the eigenvalue one. Its phase
    is free: the first coil gets none. The work is one eigendecomposition of a matrix of patches, and those of all M.

    Parameters
    ----------
    kspace : Tensor, shape (B, coils, H, W) or (B, coils, D, H, W), complex
        Centred, zero where it was not sampled.
    calibration : int or tuple of int, optional
        The size of the region, along all axes or along each; by default the largest that is fully sampled, up to 24.
    kernel : int
        The size of the patches, along each axis of which half the region is not shorter: then it is that half, for
        else there are too few patches to tell what they have in common.
    threshold : float
        Singular values below this fraction of the largest count as noise.
    crop : float
        Maps are zero where the eigenvalue is below: outside the body.
    n_sets : int
        How many eigenvectors: more than one where an image is folded onto itself.

    Returns
    -------
    Tensor, shape (B, coils, ...), or (B, n_sets, coils, ...) for several
        Each of unit norm over the coils, or zero.

    Raises
    ------
    ShapeError
        If k-space has another number of axes, or the region does not fit in it.
    DTypeError
        If it is real.
    ArgumentError
        If the region is not fully sampled or smaller than the patches, or another argument makes no sense.

    References
    ----------
    Uecker et al., *ESPIRiT: an eigenvalue approach to autocalibrating parallel MRI: where SENSE meets GRAPPA*,
    Magnetic Resonance in Medicine 71 (2014).

    Examples
    --------
    >>> from wellposed.data import birdcage_maps
    >>> from wellposed.operators import CartesianMRI
    >>> A = CartesianMRI(torch.ones(1, 1, 32, 32), (1, 32, 32), birdcage_maps(4, (32, 32)))
    >>> maps = espirit_maps(A(torch.ones(1, 1, 32, 32) + 0j), calibration=16)
    >>> maps.shape
    torch.Size([1, 4, 32, 32])
    """
    _check(kspace, kernel, threshold, crop, n_sets)
    sizes = _region(kspace, calibration)
    least = tuple(min(kernel, length) for length in kspace.shape[2:])
    if any(size < width for size, width in zip(sizes, least, strict=True)):
        raise ArgumentError(
            f"espirit_maps has a calibration region of {' x '.join(map(str, sizes))}, smaller than its patches of "
            f"{' x '.join(map(str, least))}: sample more of the middle of k-space, or lower kernel."
        )
    patch = tuple(min(kernel, (size + 1) // 2) for size in sizes)
    middle = _middle(kspace, sizes).to(torch.complex128)
    if not bool((middle.abs().sum(1) > 0).all()):
        raise ArgumentError(
            f"espirit_maps expects the middle of k-space, {' x '.join(map(str, sizes))}, to be fully sampled, and some "
            "of it is zero: give the size of what is, or leave out calibration."
        )
    projector = _projector(middle, patch, threshold)
    matrices = _pixel_matrices(projector, kspace.shape[1], patch, tuple(kspace.shape[2:]))
    return _leading(matrices.to(kspace.dtype), n_sets, crop)


def calibration_size(kspace: Tensor, *, largest: int = _LARGEST_CALIBRATION) -> tuple[int, ...]:
    """Return the size of the largest box around the middle of k-space that is fully sampled in all images.

    Parameters
    ----------
    kspace : Tensor, shape (B, coils, ...)
        Centred, zero where it was not sampled.
    largest : int
        Where it is longer along an axis, it is cut.

    Returns
    -------
    tuple of int
        One size for each axis, all zero if the very middle was not sampled.

    Examples
    --------
    >>> from wellposed.data import cartesian_mask
    >>> import torch
    >>> seeded = torch.Generator().manual_seed(0)
    >>> mask = cartesian_mask(1, (1, 9, 64), acceleration=4, center_fraction=0.08, kind="equispaced", generator=seeded)
    >>> calibration_size(mask)
    (9, 6)
    """
    sampled = (kspace != 0).any(1).all(0)
    sizes = [1] * sampled.ndim
    if not bool(_middle(sampled, sizes).all()):
        return (0,) * sampled.ndim
    growing = set(range(sampled.ndim))
    while growing:
        for axis in sorted(growing):
            larger = [size + (position == axis) for position, size in enumerate(sizes)]
            fits = larger[axis] <= min(largest, sampled.shape[axis])
            if fits and bool(_middle(sampled, larger).all()):
                sizes = larger
            else:
                growing.remove(axis)
    return tuple(sizes)


def _check(kspace: Tensor, kernel: int, threshold: float, crop: float, n_sets: int) -> None:
    check_tensor("espirit_maps", "kspace", kspace)
    if kspace.ndim not in (4, 5):
        raise ShapeError(f"espirit_maps expects k-space (B, coils, H, W) or (B, coils, D, H, W), got {kspace.shape}.")
    if not kspace.is_complex():
        raise DTypeError(f"espirit_maps expects complex k-space, got {kspace.dtype}.")
    check_whole("espirit_maps", "kernel", kernel, least=1)
    check_whole("espirit_maps", "n_sets", n_sets, least=1)
    if n_sets > kspace.shape[1]:
        raise ArgumentError(f"espirit_maps expects at most {kspace.shape[1]} sets, one a coil, got {n_sets}.")
    if not (0 <= threshold < 1 and 0 <= crop < 1):
        raise ArgumentError(f"espirit_maps expects threshold and crop in [0, 1), got {threshold} and {crop}.")


def _region(kspace: Tensor, calibration: int | tuple[int, ...] | None) -> tuple[int, ...]:
    space = tuple(kspace.shape[2:])
    if calibration is None:
        return calibration_size(kspace)
    sizes = tuple(min(calibration, length) for length in space) if isinstance(calibration, int) else tuple(calibration)
    if len(sizes) != len(space) or any(not 0 < size <= length for size, length in zip(sizes, space, strict=True)):
        raise ShapeError(f"espirit_maps expects a calibration region that fits in {space}, got {calibration}.")
    return sizes


def _middle(values: Tensor, sizes: tuple[int, ...] | list[int]) -> Tensor:
    """Return a box around the index N // 2 of each of the last axes."""
    for axis, size in zip(range(-len(sizes), 0), sizes, strict=True):
        values = values.narrow(axis, values.shape[axis] // 2 - size // 2, size)
    return values


@in_own_precision
def _projector(middle: Tensor, patch: tuple[int, ...], threshold: float) -> Tensor:
    """Return the matrix that projects on the space of the patches, whose entries are ordered by coil, then place."""
    patches = middle
    for axis, width in enumerate(patch):
        patches = patches.unfold(2 + axis, width, 1)
    dimensions = len(patch)
    rows = patches.movedim(1, 1 + dimensions).flatten(1, dimensions).flatten(2)
    values, vectors = torch.linalg.eigh(rows.mH @ rows)
    kept = values >= threshold**2 * values[:, -1:]
    basis = (vectors * kept.unsqueeze(1)).conj()
    return basis @ basis.mH


def _pixel_matrices(projector: Tensor, coils: int, patch: tuple[int, ...], space: tuple[int, ...]) -> Tensor:
    """Return M at every pixel, shape (B, *space, coils, coils)."""
    batch, dimensions = len(projector), len(patch)
    lagged = projector.view(batch, coils, *patch, coils, *patch).movedim(2 + dimensions, 2)
    for axis, width in enumerate(patch):
        lagged = _sum_over_lags(lagged, 3 + axis, 3 + dimensions, width, space[axis])
    shifted = torch.fft.ifftn(lagged, dim=tuple(range(3, 3 + dimensions)), norm="forward") / math.prod(patch)
    images = torch.fft.fftshift(shifted, dim=tuple(range(3, 3 + dimensions)))
    return images.movedim((1, 2), (-2, -1))


def _sum_over_lags(values: Tensor, axis: int, other: int, width: int, length: int) -> Tensor:
    """Sum over pairs of places with the same difference, and put it at that index, modulo the length, in `axis`."""
    place = torch.arange(width, device=values.device)
    lag = (place[:, None] - place) % length
    flat = values.movedim((axis, other), (-2, -1)).flatten(-2)
    total = flat.new_zeros(*flat.shape[:-1], length).index_add(-1, lag.flatten(), flat)
    return total.movedim(-1, axis)


def _leading(matrices: Tensor, n_sets: int, crop: float) -> Tensor:
    """Return the leading eigenvectors of Hermitian matrices (B, *space, coils, coils) as maps, cropped."""
    values, vectors = torch.linalg.eigh(matrices)
    values, vectors = values[..., -n_sets:].flip(-1), vectors[..., -n_sets:].flip(-1)
    first = vectors[..., :1, :]
    maps = vectors * torch.polar(torch.ones_like(first.real), -first.angle()) * (values > crop).unsqueeze(-2)
    maps = maps.movedim((-1, -2), (1, 2))
    return maps[:, 0] if n_sets == 1 else maps
