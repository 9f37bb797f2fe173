"""Receive coils: what each of them sees of an image, and the exact transpose of that."""

from __future__ import annotations

import torch
from torch import Tensor

from wellposed.core.errors import DTypeError, ShapeError
from wellposed.core.shapes import check_tensor

__all__ = ["checked_maps", "combine", "spread", "with_sets"]


def checked_maps(owner: str, coil_maps: Tensor | None, channels: int | None, space: tuple[int, ...]) -> Tensor | None:
    """Return coil maps of shape (B or 1, coils, *space) or (B or 1, sets, coils, *space), or say what is wrong.

    Without a batch axis they get one.

    Parameters
    ----------
    owner : str
    coil_maps : Tensor, optional
    channels : int
        Of the image: as many as there are sets.
    space : tuple of int
        The sizes of the image.

    Raises
    ------
    DTypeError
        If they are no tensor, or real.
    ShapeError
        If they do not fit the image.
    """
    if coil_maps is None:
        return None
    check_tensor(owner, "coil_maps", coil_maps)
    given = tuple(coil_maps.shape)
    if coil_maps.ndim == len(space) + 1 and not isinstance(coil_maps, torch.nn.Parameter):
        coil_maps = coil_maps[None]
    if coil_maps.ndim - len(space) not in (2, 3) or tuple(coil_maps.shape[-len(space) :]) != space:
        sizes = ", ".join(map(str, space))
        raise ShapeError(
            f"{owner} expects coil_maps of shape (coils, {sizes}), (B or 1, coils, {sizes}) or (B or 1, sets, coils, "
            f"{sizes}), got {given}."
        )
    if not coil_maps.is_complex():
        raise DTypeError(
            f"{owner} expects complex coil_maps, got {coil_maps.dtype}: convert with coil_maps.to(torch.complex64)."
        )
    sets = coil_maps.shape[1] if coil_maps.ndim == len(space) + 3 else 1
    if channels != sets:
        raise ShapeError(
            f"{owner} has {sets} set{'s' * (sets > 1)} of coil_maps, of shape {given}, for images of "
            f"{channels} channels: each set of maps goes with one channel."
        )
    return coil_maps


def with_sets(coil_maps: Tensor, space: int) -> Tensor:
    """Return maps (B or 1, sets, coils, *space) of those that may lack the axis of the sets."""
    return coil_maps if coil_maps.ndim == space + 3 else coil_maps.unsqueeze(1)


def spread(x: Tensor, maps: Tensor) -> Tensor:
    """Return what each coil sees of images (B, sets, ...), summed over the sets: shape (B, coils, ...)."""
    seen = maps * x.unsqueeze(2)
    return seen[:, 0] if seen.shape[1] == 1 else seen.sum(1)


def combine(coil_images: Tensor, maps: Tensor) -> Tensor:
    """Return the transpose of `spread`: the images (B, sets, ...), each coil weighted by the conjugate of its map."""
    return (maps.conj() * coil_images.unsqueeze(1)).sum(2)
