"""Blur: each pixel is a weighted mean of its neighbours."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal, get_args

from torch import Tensor

from wellposed.core.errors import ShapeError
from wellposed.core.names import check_name
from wellposed.core.shapes import check_tensor, fixed_shape
from wellposed.operators._borders import Margins, extend, extend_adjoint
from wellposed.operators._convolve import convolve, convolve_adjoint, direct_is_cheaper
from wellposed.operators._spectra import diagonal_pinv, fast_length, filter_circular, transfer_function
from wellposed.operators.base import LinearOperator

__all__ = ["Blur"]

Padding = Literal["valid", "circular", "reflect", "replicate", "zero"]
Method = Literal["auto", "fft", "direct"]


class Blur(LinearOperator):
    r"""Convolve each channel with a kernel, in two or three dimensions.

    .. math:: y_i = \sum_j k_j\, x_{i - j + c}, \qquad c = \lfloor \text{size of } k / 2 \rfloor

    with :math:`x` continued beyond its borders as `padding` says; "valid" keeps the pixels that need no continuation,
    so that measurements are smaller than the image by the size of the kernel less one. It is a convolution: the kernel
    is the image of a point.

    With circular borders the operator is diagonal in Fourier space, :math:`A = F^{-1} \mathrm{diag}(Fk) F`, and its
    norm, pseudo-inverse and proximal operator are closed forms.

    Parameters
    ----------
    kernel : Tensor, shape (B or 1, C or 1, kH, kW) or (B or 1, C or 1, kD, kH, kW)
        Point spread function, centred at half its size; real. Its sum is the factor by which a constant image is
        multiplied. Differentiable.
    image_shape : tuple of int, (C, H, W) or (C, D, H, W)
    padding : {"valid", "circular", "reflect", "replicate", "zero"}
        "reflect" mirrors about the centre of the border pixel, without repeating it.
    method : {"auto", "fft", "direct"}
        How to convolve; by default the cheaper way for the size of the kernel.

    Raises
    ------
    DTypeError
        If the kernel is not a tensor.
    ShapeError
        If kernel and image differ in dimension or channels, or the kernel is larger than the image.

    References
    ----------
    Hansen, Nagy, O'Leary, *Deblurring Images*, SIAM 2006, chapters 3 and 4.

    Examples
    --------
    >>> import torch
    >>> A = Blur(torch.ones(1, 1, 3, 3) / 9, image_shape=(3, 8, 8))
    >>> A(torch.ones(2, 3, 8, 8)).shape
    torch.Size([2, 3, 6, 6])
    """

    image_shape: tuple[int, ...]
    measurement_shape: tuple[int, ...]
    kernel: Tensor

    def __init__(
        self,
        kernel: Tensor,
        image_shape: tuple[int, ...],
        padding: Padding = "valid",
        method: Method = "auto",
    ) -> None:
        image_shape = fixed_shape("Blur", image_shape)
        check_name("padding", padding, get_args(Padding))
        check_name("method", method, get_args(Method))
        check_tensor("Blur", "kernel", kernel)
        _check_kernel(kernel, image_shape, padding)
        margin = [size - 1 if padding == "valid" else 0 for size in kernel.shape[2:]]
        space = (size - lost for size, lost in zip(image_shape[1:], margin, strict=True))
        super().__init__(image_shape, (image_shape[0], *space))
        self.register_parameter_tensor("kernel", kernel)
        self.padding = padding
        self.method = method

    @property
    def direct(self) -> bool:
        """Whether the convolution is summed over the taps rather than done by FFT."""
        if self.method == "auto":
            return direct_is_cheaper(self.image_shape[1:], self.kernel.shape[2:])
        return self.method == "direct"

    def _forward(self, x: Tensor) -> Tensor:
        if self.padding == "circular" and not self.direct:
            return filter_circular(x, self._spectrum())
        if self.padding != "valid":
            x = extend(x, self._margins(), self.padding)
        if self.direct:
            return convolve(x, self.kernel)
        return _corner(filter_circular(x, self._spectrum(), self._grid()), self.measurement_shape[1:])

    def _adjoint(self, y: Tensor) -> Tensor:
        if self.padding == "circular" and not self.direct:
            return filter_circular(y, self._spectrum().conj())
        if self.direct:
            x = convolve_adjoint(y, self.kernel)
        else:
            x = _corner(filter_circular(y, self._spectrum().conj(), self._grid()), self._extended_sizes())
        return x if self.padding == "valid" else extend_adjoint(x, self._margins(), self.padding)

    def has_closed_form(self, name: str) -> bool:
        """Tell whether "gram", "norm", "pinv" or "prox" is a formula here: all are, with circular borders."""
        return self.padding == "circular" and super().has_closed_form(name)

    def _gram(self, x: Tensor) -> Tensor:
        if self.padding != "circular":
            return super()._gram(x)
        return filter_circular(x, self._spectrum().abs().square())

    def _norm(self) -> Tensor:
        return self.peak_response() if self.padding == "circular" else super()._norm()

    def peak_response(self) -> Tensor:
        """Return the largest modulus of the kernel's transfer function, one per image: shape (1,), or (B,).

        It is the norm where images are periodic, and what the norm tends to for large images whatever their borders.
        One FFT gives it.

        Examples
        --------
        >>> import torch
        >>> A = Blur(torch.full((1, 1, 3, 3), 0.2), (1, 16, 16), padding="valid")
        >>> round(A.peak_response().item(), 3), bool(A.norm() < A.peak_response())
        (1.8, True)
        """
        return self._spectrum().abs().flatten(1).amax(1)

    def _pinv(self, y: Tensor) -> Tensor:
        if self.padding != "circular":
            return super()._pinv(y)
        return filter_circular(y, diagonal_pinv(self._spectrum()))

    def _prox(self, z: Tensor, y: Tensor, gamma: Tensor) -> Tensor:
        if self.padding != "circular":
            return super()._prox(z, y, gamma)
        spectrum = self._spectrum()
        right = z + gamma * filter_circular(y, spectrum.conj())
        return filter_circular(right, 1 / (1 + gamma * spectrum.abs().square()))

    def _spectrum(self) -> Tensor:
        """Return the transfer function on the grid of the FFT, shape (B or 1, C or 1, [D,] H, W // 2 + 1).

        The kernel's origin is its centre where images are periodic; else its last tap, so that the part of the result
        in which nothing has wrapped around begins at the first pixel.
        """
        taps = self.kernel.shape[2:]
        origin = [tap // 2 if self.padding == "circular" else tap - 1 for tap in taps]
        return self.derived("spectrum", ("kernel",), lambda: transfer_function(self.kernel, self._grid(), origin))

    def _margins(self) -> Margins:
        """Return how far the kernel reaches before and after its centre along each axis."""
        return [(taps - 1 - taps // 2, taps // 2) for taps in self.kernel.shape[2:]]

    def _extended_sizes(self) -> list[int]:
        """Return the size of images once they are continued beyond their borders."""
        sizes, taps = self.image_shape[1:], self.kernel.shape[2:]
        return [size + (0 if self.padding == "valid" else tap - 1) for size, tap in zip(sizes, taps, strict=True)]

    def _grid(self) -> tuple[int, ...]:
        """Return the size of the FFT: that of the image if it is periodic, else one that is fast and large enough."""
        if self.padding == "circular":
            return self.image_shape[1:]
        return tuple(fast_length(size) for size in self._extended_sizes())


def _corner(full: Tensor, sizes: Iterable[int]) -> Tensor:
    """Return the first entries along each axis of space of tensors (B, C, *space)."""
    return full[(slice(None), slice(None), *(slice(size) for size in sizes))]


def _check_kernel(kernel: Tensor, image_shape: tuple[int, ...], padding: Padding) -> None:
    got = f"a kernel of shape {tuple(kernel.shape)} for images of shape {image_shape}"
    if kernel.ndim not in (4, 5) or kernel.ndim != len(image_shape) + 1 or kernel.is_complex():
        raise ShapeError(
            "Blur expects a real kernel (B or 1, C or 1, kH, kW) for images (C, H, W), with a depth each in 3D; "
            f"got {got}."
        )
    if kernel.shape[1] not in (1, image_shape[0]):
        raise ShapeError(f"Blur expects a kernel with 1 or {image_shape[0]} channels; got {got}.")
    reach = [taps // 2 if padding == "reflect" else taps - 1 for taps in kernel.shape[2:]]
    if math.prod(kernel.shape) == 0 or any(far >= size for far, size in zip(reach, image_shape[1:], strict=True)):
        raise ShapeError(
            f"Blur expects a kernel no larger than the image: crop the kernel or use larger images; got {got}."
        )
