"""Magnetic resonance imaging of a still image or volume in several passes over k-space, which may overlap."""

from __future__ import annotations

import torch
from torch import Tensor

from wellposed.core.errors import ShapeError
from wellposed.core.shapes import check_tensor, fixed_shape
from wellposed.operators._diagonal import reciprocal_or_zero
from wellposed.operators._fourier_sampling import FourierSampling

__all__ = ["SequentialMRI"]


class SequentialMRI(FourierSampling):
    r"""Sample the k-space of one image frame after frame, each through its own mask.

    .. math:: y_t = m_t \odot F x, \qquad A^H y = F^H \sum_t m_t \odot y_t

    Frames may sample the same places: the pseudo-inverse then averages them, weighted by :math:`m_t`, as least squares
    does. With coil maps each coil measures its frames, as in `CartesianMRI`.

    Parameters
    ----------
    mask : Tensor, shape (B or 1, 1 or channels, T, H, W) or (B or 1, 1 or channels, T, D, H, W)
        Real; D and H may be 1 to repeat columns. Differentiable.
    image_shape : tuple of int, (C, H, W) or (C, D, H, W)
    coil_maps : Tensor, shape (coils, H, W), (B or 1, coils, H, W) or (B or 1, sets, coils, H, W), optional
        Complex, a depth more for volumes. Differentiable.

    Raises
    ------
    ShapeError
        If the mask has no axis of frames, does not broadcast to k-space, or the coil maps do not fit.
    ArgumentError
        If the mask samples nothing.
    DTypeError
        If the mask is not a tensor, the coil maps are real, and when called with a real image.

    Examples
    --------
    >>> import torch
    >>> A = SequentialMRI(torch.ones(1, 1, 3, 4, 4), image_shape=(1, 4, 4))
    >>> y = A(torch.ones(1, 1, 4, 4) + 0j)
    >>> y.shape, A.norm().square().item()
    (torch.Size([1, 1, 3, 4, 4]), 3.0)
    """

    def __init__(self, mask: Tensor, image_shape: tuple[int, ...], coil_maps: Tensor | None = None) -> None:
        sizes = fixed_shape("SequentialMRI", image_shape)
        check_tensor("SequentialMRI", "mask", mask)
        if len(sizes) not in (3, 4) or mask.ndim != len(sizes) + 2:
            raise ShapeError(
                "SequentialMRI expects an image shape (C, H, W) and a mask (B or 1, 1 or C, T, H, W), or both with a "
                f"depth before H, got {image_shape} and {tuple(mask.shape)}."
            )
        super().__init__(mask, sizes, (mask.shape[2], *sizes[1:]), coil_maps, len(sizes) - 1)

    def _sample(self, k_space: Tensor) -> Tensor:
        return self._weights() * k_space.unsqueeze(2)

    def _collect(self, y: Tensor) -> Tensor:
        return (self._weights().conj() * y).sum(2)

    def _undo(self, y: Tensor) -> Tensor:
        return reciprocal_or_zero(self._energy()) * self._collect(y)

    def _energy(self) -> Tensor:
        return self.mask.square().sum(2)

    def _norm(self) -> Tensor:
        if self.coil_maps is None:
            return torch.linalg.vector_norm(self.mask, dim=2).flatten(1).amax(1)
        return super()._norm()
