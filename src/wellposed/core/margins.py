"""Images without their margin, where scores leave it out, or with a faint one, where a loss shall hardly see it."""

from __future__ import annotations

from types import EllipsisType

from torch import Tensor

from wellposed.core.errors import ArgumentError

__all__ = ["fainter_margin", "without_margin"]


def without_margin(image: Tensor, margin: int) -> Tensor:
    """Return images without so many pixels along each border of the last two axes, contiguous.

    Raises
    ------
    ArgumentError
        If that leaves nothing.
    """
    return image[_inner(image, margin)].contiguous()


def fainter_margin(image: Tensor, truth: Tensor, margin: int, weight: float) -> Tensor:
    """Return images whose errors along each border are `weight` times what they are, and the same elsewhere.

    Raises
    ------
    ArgumentError
        If the margin leaves nothing.
    """
    inner = _inner(image, margin)
    blended = truth.lerp(image, weight)
    blended[inner] = image[inner]
    return blended


def _inner(image: Tensor, margin: int) -> tuple[EllipsisType | slice, ...]:
    height, width = image.shape[-2:]
    if 2 * margin >= min(height, width):
        raise ArgumentError(f"a margin of {margin} leaves nothing of an image of shape {tuple(image.shape)}.")
    return (..., slice(margin, height - margin), slice(margin, width - margin))
