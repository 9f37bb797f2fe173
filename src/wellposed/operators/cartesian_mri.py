"""Magnetic resonance imaging on a Cartesian grid, with one coil."""

from __future__ import annotations

from torch import Tensor

from wellposed.core.errors import ShapeError
from wellposed.core.shapes import Field, check_tensor, fixed_shape
from wellposed.operators._diagonal import reciprocal_or_zero
from wellposed.operators._fourier import centred_fft, centred_ifft
from wellposed.operators.base import LinearOperator

__all__ = ["CartesianMRI"]


class CartesianMRI(LinearOperator):
    r"""Sample the centred orthonormal Fourier transform of a complex image through a mask.

    .. math:: y = m \odot F x

    K-space has the size of the image, DC in the middle of the array, zeros where nothing was sampled. Since :math:`F`
    is unitary, the norm, the pseudo-inverse and the proximal operator are closed forms.

    Parameters
    ----------
    mask : Tensor, shape (B or 1, 1 or C, H, W) or (B or 1, 1 or C, D, H, W); H may be 1 to repeat columns
        Real: one where k-space is sampled, or any weight. Differentiable.
    image_shape : tuple of int, (C, H, W) or (C, D, H, W)
        The transform is over all axes but the channels.

    Raises
    ------
    ShapeError
        If the mask does not broadcast to k-space.
    DTypeError
        If the mask is not a tensor, and when called with a real image.

    References
    ----------
    Zbontar et al., *fastMRI: an open dataset and benchmarks for accelerated MRI*, arXiv:1811.08839.

    Examples
    --------
    >>> import torch
    >>> A = CartesianMRI(torch.ones(1, 1, 8, 8), image_shape=(1, 8, 8))
    >>> k_space = A(torch.ones(1, 1, 8, 8, dtype=torch.complex64))
    >>> k_space[0, 0, 4, 4].real.round().item()
    8.0
    """

    image_field: Field = "complex"
    measurement_field: Field = "complex"
    mask: Tensor

    def __init__(self, mask: Tensor, image_shape: tuple[int, ...]) -> None:
        check_tensor("CartesianMRI", "mask", mask)
        image_shape = fixed_shape("CartesianMRI", image_shape)
        fits = mask.ndim == len(image_shape) + 1 and all(
            size in (1, full) for size, full in zip(mask.shape[1:], image_shape, strict=True)
        )
        if not fits or mask.ndim not in (4, 5) or mask.is_complex():
            raise ShapeError(
                "CartesianMRI expects a real mask (B or 1, 1 or C, H, W) for images (C, H, W), a depth each in 3D; "
                f"got a mask of shape {tuple(mask.shape)} for images of shape {image_shape}."
            )
        super().__init__(image_shape, image_shape)
        self.register_parameter_tensor("mask", mask)

    def _axes(self) -> tuple[int, ...]:
        return tuple(range(-(len(self.image_shape) - 1), 0))

    def _forward(self, x: Tensor) -> Tensor:
        return self.mask * centred_fft(x, self._axes())

    def _adjoint(self, y: Tensor) -> Tensor:
        return centred_ifft(self.mask * y, self._axes())

    def _gram(self, x: Tensor) -> Tensor:
        return centred_ifft(self.mask.square() * centred_fft(x, self._axes()), self._axes())

    def _norm(self) -> Tensor:
        return self.mask.abs().flatten(1).amax(1)

    def _pinv(self, y: Tensor) -> Tensor:
        return centred_ifft(reciprocal_or_zero(self.mask) * y, self._axes())

    def _prox(self, z: Tensor, y: Tensor, gamma: Tensor) -> Tensor:
        k_space = centred_fft(z, self._axes()) + gamma * self.mask * y
        return centred_ifft(k_space / (1 + gamma * self.mask.square()), self._axes())
