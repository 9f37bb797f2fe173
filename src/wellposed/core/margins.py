"""Images without their margin, where scores leave it out."""

from __future__ import annotations

from torch import Tensor

from wellposed.core.errors import ArgumentError

__all__ = ["without_margin"]


def without_margin(image: Tensor, margin: int) -> Tensor:
    """Return images without so many pixels along each border of the last two axes, contiguous.

    Raises
    ------
    ArgumentError
        If that leaves nothing.
    """
    height, width = image.shape[-2:]
    if 2 * margin >= min(height, width):
        raise ArgumentError(f"a margin of {margin} leaves nothing of an image of shape {tuple(image.shape)}.")
    return image[..., margin : height - margin, margin : width - margin].contiguous()
