"""Sensitivities of receive coils, simulated: a birdcage around the image."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from wellposed.core.arguments import check_whole
from wellposed.core.errors import ArgumentError, ShapeError

__all__ = ["birdcage_maps"]


def birdcage_maps(
    n_coils: int,
    size: tuple[int, ...],
    *,
    radius: float = 1.5,
    rotation: float | Tensor = 0.0,
    rings: int = 1,
) -> Tensor:
    r"""Return the sensitivities of coils that stand evenly on a circle around the image.

    .. math:: S_l(r) \propto \frac{1}{|r - p_l|} e^{i (\angle(r - p_l) - \alpha_l)}, \qquad \sum_l |S_l(r)|^2 = 1

    with the coil at :math:`p_l`, at the angle :math:`\alpha_l` of the circle; the angle of :math:`r - p_l` is in the
    plane of the circle.

    Parameters
    ----------
    n_coils : int
    size : tuple of int, (H, W) or (D, H, W)
    radius : float
        Of the circle, in half widths of the image; more than sqrt(2) leaves all coils outside.
    rotation : float or Tensor, shape (B,)
        Of the circle, in radians; one for each image, or for all.
    rings : int
        How many circles, evenly along the depth of a volume, the coils are shared out to; they divide `n_coils`.

    Returns
    -------
    Tensor, shape (B or 1, coils, H, W) or (B or 1, coils, D, H, W), complex
        On the device and in the precision of `rotation` if that is a tensor.

    Raises
    ------
    ArgumentError
        If a count is no whole number above zero, the radius is not above zero, or the rings do not divide the coils.
    ShapeError
        If the size is neither (H, W) nor (D, H, W), or an image has several rings.

    References
    ----------
    Hayes et al., *An efficient, highly homogeneous radiofrequency coil for whole-body NMR imaging at 1.5 T*, Journal of
    Magnetic Resonance 63 (1985).

    Examples
    --------
    >>> maps = birdcage_maps(8, (16, 16))
    >>> maps.shape, maps.abs().square().sum(1).mean().item()
    (torch.Size([1, 8, 16, 16]), 1.0)
    """
    check_whole("birdcage_maps", "n_coils", n_coils, least=1)
    check_whole("birdcage_maps", "rings", rings, least=1)
    if not radius > 0:
        raise ArgumentError(f"birdcage_maps expects a radius above zero, got {radius}.")
    if len(size) not in (2, 3) or min(size) < 1 or (len(size) == 2 and rings > 1):
        raise ShapeError(f"birdcage_maps expects a size (H, W), or (D, H, W) if there are several rings, got {size}.")
    if n_coils % rings:
        raise ArgumentError(f"birdcage_maps expects rings that divide the coils, got {rings} for {n_coils}.")
    turned = torch.as_tensor(rotation, dtype=None if isinstance(rotation, Tensor) else torch.get_default_dtype())
    around = torch.arange(n_coils, device=turned.device) % (n_coils // rings) * (2 * math.pi * rings / n_coils)
    alpha = (around.to(turned.dtype) + turned.reshape(-1, 1)).view(-1, n_coils, *[1] * len(size))
    *depth, rows, columns = (_axis(length, turned) for length in size)
    down, across = rows[:, None] - radius * alpha.sin(), columns - radius * alpha.cos()
    squared = down.square() + across.square()
    if depth:
        heights = (torch.arange(n_coils, device=turned.device) // (n_coils // rings) + 0.5) * (2 / rings) - 1
        squared = squared + (depth[0][:, None, None] - heights.to(turned.dtype).view(-1, 1, 1, 1)).square()
    maps = torch.polar(squared.clamp(min=torch.finfo(squared.dtype).tiny).rsqrt(), torch.atan2(down, across) - alpha)
    return maps / torch.linalg.vector_norm(maps, dim=1, keepdim=True)


def _axis(length: int, like: Tensor) -> Tensor:
    """Return the positions of pixels in half widths, zero at the middle."""
    return (torch.arange(length, dtype=like.dtype, device=like.device) - length // 2) / max(length / 2, 1)
