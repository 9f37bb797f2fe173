"""Magnetic resonance imaging on a Cartesian grid, with one coil or many, of still or moving images."""

from __future__ import annotations

from torch import Tensor

from wellposed.core.errors import ShapeError
from wellposed.core.shapes import fixed_shape
from wellposed.operators._diagonal import reciprocal_or_zero
from wellposed.operators._fourier_sampling import FourierSampling

__all__ = ["CartesianMRI"]


class CartesianMRI(FourierSampling):
    r"""Sample the centred orthonormal Fourier transform of a complex image, as each coil sees it, through a mask.

    .. math:: y = m \odot F x, \qquad\text{or with coil maps}\qquad y_l = m \odot F \sum_s S_{sl} \odot x_s

    K-space has the size of the image, DC in the middle of the array, zeros where nothing was sampled. Measurements
    have the channels of the image, or with coil maps one channel a coil. Since :math:`F` is unitary, the norm, the
    pseudo-inverse and the proximal operator are closed forms without coil maps; with them they are iterated (the norm
    where the mask is not constant), on a gram that transforms only along the axes along which the mask varies.

    Parameters
    ----------
    mask : Tensor, shape (B or 1, 1 or channels, H, W), or with D, T or both before H; H may be 1 to repeat columns
        Real: one where k-space is sampled, or any weight; the channels are those of the measurements. Differentiable.
    image_shape : tuple of int, (C, H, W) or (C, D, H, W); (C, T, H, W) or (C, T, D, H, W) if dynamic
        The transform is over all axes but the channels, and the frames.
    coil_maps : Tensor, shape (coils, H, W), (B or 1, coils, H, W) or (B or 1, sets, coils, H, W), optional
        Complex sensitivities, a depth more for volumes. Images have one channel a set, one without sets; frames share
        the maps. Differentiable.
    dynamic : bool
        Images are T frames, each transformed by itself and with its own mask if that has T of them.

    Raises
    ------
    ShapeError
        If the mask does not broadcast to k-space, or the coil maps do not fit the image.
    ArgumentError
        If the mask samples nothing.
    DTypeError
        If the mask is not a tensor, the coil maps are real, and when called with a real image.

    References
    ----------
    Zbontar et al., *fastMRI: an open dataset and benchmarks for accelerated MRI*, arXiv:1811.08839. Pruessmann et al.,
    *SENSE: sensitivity encoding for fast MRI*, Magnetic Resonance in Medicine 42 (1999). Uecker et al., *ESPIRiT*,
    Magnetic Resonance in Medicine 71 (2014), for several sets of maps.

    Examples
    --------
    >>> import torch
    >>> A = CartesianMRI(torch.ones(1, 1, 8, 8), image_shape=(1, 8, 8))
    >>> k_space = A(torch.ones(1, 1, 8, 8, dtype=torch.complex64))
    >>> k_space[0, 0, 4, 4].real.round().item()
    8.0
    >>> maps = torch.ones(5, 8, 8, dtype=torch.complex64)
    >>> CartesianMRI(torch.ones(1, 1, 8, 8), (1, 8, 8), maps)(torch.ones(1, 1, 8, 8) + 0j).shape
    torch.Size([1, 5, 8, 8])
    """

    def __init__(
        self,
        mask: Tensor,
        image_shape: tuple[int, ...],
        coil_maps: Tensor | None = None,
        *,
        dynamic: bool = False,
    ) -> None:
        image_shape = fixed_shape("CartesianMRI", image_shape)
        space = len(image_shape) - (2 if dynamic else 1)
        if space not in (2, 3):
            frames, why = ("T, ", ", as it is dynamic") if dynamic else ("", "")
            raise ShapeError(
                f"CartesianMRI expects an image shape (C, {frames}H, W) or (C, {frames}D, H, W){why}; "
                f"got {image_shape}."
            )
        super().__init__(mask, image_shape, image_shape[1:], coil_maps, space)
        self.dynamic = dynamic

    def _sample(self, k_space: Tensor) -> Tensor:
        return self._weights() * k_space

    def _collect(self, y: Tensor) -> Tensor:
        return self._weights().conj() * y

    def _undo(self, y: Tensor) -> Tensor:
        return reciprocal_or_zero(self._weights()) * y

    def _energy(self) -> Tensor:
        return self.mask.square()

    def _norm(self) -> Tensor:
        return self.mask.abs().flatten(1).amax(1) if self.coil_maps is None else super()._norm()
