"""Super-resolution: filter against aliasing and keep every factor-th pixel."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from wellposed.core.arguments import check_whole
from wellposed.core.errors import ShapeError
from wellposed.core.shapes import check_tensor, fixed_shape
from wellposed.operators._borders import extend
from wellposed.operators._spectra import diagonal_pinv, filter_circular
from wellposed.operators.base import LinearOperator
from wellposed.operators.filters import antialiasing_filter

__all__ = ["Downsample"]


class Downsample(LinearOperator):
    r"""Convolve periodically with an antialiasing filter and keep one pixel in `factor` along each axis.

    .. math:: y_i = \sum_j h_j\, x_{f i - j + c}, \qquad c = \lfloor \text{taps} / 2 \rfloor

    The named filters of even length k are symmetric about the point half a pixel after pixel :math:`f i`, as in the
    published implementation of RAM. Only the pixels that are kept are computed. :math:`A A^T` is a circular convolution
    of the coarse grid, so the norm, the pseudo-inverse :math:`A^T (A A^T)^+` and, by the identity of Woodbury, the
    proximal operator are closed forms.

    Parameters
    ----------
    factor : int
    image_shape : tuple of int, (C, H, W)
        Height and width are multiples of the factor.
    filter : str or Tensor, shape (B or 1, C or 1, k, k)
        A name of `wellposed.operators.filters` ("bicubic", "bilinear", "box", "gaussian", "sinc"), or the filter
        itself, centred at half its size; real. Differentiable.

    Raises
    ------
    ArgumentError
        If the factor is less than two.
    DTypeError
        If the filter is neither a name nor a tensor.
    ShapeError
        If height or width is not a multiple of the factor, or the filter does not fit.

    References
    ----------
    Zhao et al., *Fast single image super-resolution using a new analytical solution for l2-l2 problems*, IEEE TIP 2016.

    Examples
    --------
    >>> A = Downsample(4, image_shape=(3, 16, 16))
    >>> A(torch.ones(1, 3, 16, 16)).shape
    torch.Size([1, 3, 4, 4])
    """

    image_shape: tuple[int, int, int]
    measurement_shape: tuple[int, int, int]
    filter: Tensor

    def __init__(self, factor: int, image_shape: tuple[int, ...], filter: str | Tensor = "bicubic") -> None:  # noqa: A002
        image_shape = fixed_shape("Downsample", image_shape)
        check_whole("Downsample", "factor", factor, least=2)
        taps = antialiasing_filter(filter, factor) if isinstance(filter, str) else filter
        check_tensor("Downsample", "filter", taps)
        if len(image_shape) != 3 or any(size % factor for size in image_shape[1:]):
            raise ShapeError(
                f"Downsample by {factor} expects images (C, H, W) whose height and width are multiples of {factor}, "
                f"got {image_shape}: crop the image."
            )
        if taps.ndim != 4 or taps.shape[1] not in (1, image_shape[0]) or taps.is_complex():
            raise ShapeError(
                f"Downsample expects a real filter of shape (B or 1, 1 or {image_shape[0]}, k, k), "
                f"got {tuple(taps.shape)}."
            )
        channels, height, width = image_shape
        super().__init__((channels, height, width), (channels, height // factor, width // factor))
        self.factor = factor
        self.register_parameter_tensor("filter", taps)

    def _forward(self, x: Tensor) -> Tensor:
        batch, channels = x.shape[:2]
        margins = [(taps - 1 - taps // 2, max(0, taps // 2 - self.factor + 1)) for taps in self.filter.shape[2:]]
        padded = extend(x, margins, "circular").reshape(1, batch * channels, *_padded_sizes(x, margins))
        weight = self.filter.flip(2, 3).expand(batch, channels, -1, -1)
        weight = weight.reshape(batch * channels, 1, *self.filter.shape[2:]).to(x.dtype)
        y = functional.conv2d(padded, weight, stride=self.factor, groups=batch * channels)
        return y.reshape(batch, channels, *self.measurement_shape[1:])

    def _adjoint(self, y: Tensor) -> Tensor:
        """Interpolate by one small filter for each of the factor x factor positions between the coarse pixels."""
        batch, channels, height, width = y.shape
        weight, margins = self._interpolators()
        weight = weight.expand(batch, channels, *weight.shape[2:]).reshape(-1, 1, *weight.shape[3:]).to(y.dtype)
        padded = extend(y, margins, "circular").reshape(1, batch * channels, *_padded_sizes(y, margins))
        phases = functional.conv2d(padded, weight, groups=batch * channels)
        return functional.pixel_shuffle(phases.reshape(batch, -1, height, width), self.factor)

    def _interpolators(self) -> tuple[Tensor, list[tuple[int, int]]]:
        """Return the polyphase filters, shape (B or 1, C or 1, factor^2, dH, dW), and how far they reach."""
        f = self.factor
        pads: list[int] = []
        margins: list[tuple[int, int]] = []
        for taps in self.filter.shape[2:]:
            centre = taps // 2
            before, after = centre // f, -(-(taps - 1 - centre) // f)
            left = f - 1 - centre + f * before
            pads = [left, f * (before + after + 1) - taps - left, *pads]
            margins.append((before, after))
        padded = functional.pad(self.filter, pads)
        split = padded.unflatten(3, (-1, f)).unflatten(2, (-1, f))
        phases = split.flip(3, 5).permute(0, 1, 3, 5, 2, 4)
        return phases.flatten(2, 3), margins

    def _coarse_spectrum(self) -> Tensor:
        """Return the eigenvalues of A A^T, shape (B or 1, C or 1, H / f, W / f // 2 + 1), real and not negative."""
        return self.derived("coarse_spectrum", ("filter",), self._compute_coarse_spectrum)

    def _compute_coarse_spectrum(self) -> Tensor:
        _, height, width = self.image_shape
        single = Downsample(self.factor, (self.filter.shape[1], height, width), self.filter)
        point = self.filter.new_zeros(self.filter.shape[0], *single.measurement_shape)
        point[..., 0, 0] = 1
        return torch.fft.rfft2(single._forward(single._adjoint(point))).real.clamp_min(0)

    def _norm(self) -> Tensor:
        return self._coarse_spectrum().flatten(1).amax(1).sqrt()

    def _pinv(self, y: Tensor) -> Tensor:
        return self._adjoint(filter_circular(y, diagonal_pinv(self._coarse_spectrum())))

    def _prox(self, z: Tensor, y: Tensor, gamma: Tensor) -> Tensor:
        residual = filter_circular(y - self._forward(z), gamma / (1 + gamma * self._coarse_spectrum()))
        return z + self._adjoint(residual)


def _padded_sizes(x: Tensor, margins: list[tuple[int, int]]) -> list[int]:
    return [size + before + after for size, (before, after) in zip(x.shape[2:], margins, strict=True)]
