"""Let a denoiser with real weights denoise complex images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import torch
from torch import Tensor

from wellposed.core.complex_view import channels_to_complex, complex_to_channels
from wellposed.core.errors import ShapeError
from wellposed.core.shapes import check_tree
from wellposed.models.base import Denoiser

__all__ = ["ComplexDenoiser"]


@final
class ComplexDenoiser(Denoiser):
    r"""Show a real denoiser the real and the imaginary part of complex images.

    .. math:: \hat x = D(\operatorname{Re} x, \sigma) + i\, D(\operatorname{Im} x, \sigma)
        \qquad\text{or}\qquad (\operatorname{Re} \hat x, \operatorname{Im} \hat x) = D([\operatorname{Re} x,
        \operatorname{Im} x], \sigma)

    A denoiser of C channels (or of any number) sees the parts of images with C channels as two images of one batch; one
    of 2C channels sees them as channels. The noise level is that of each part.

    Parameters
    ----------
    denoiser : callable
        `denoiser(x, sigma)` for real images.

    Raises
    ------
    DTypeError
        On a call, if the images are real: those go to the denoiser itself.
    ShapeError
        On a call, if the denoiser has neither as many channels as the images nor twice as many.

    Examples
    --------
    >>> from wellposed.models import DenoiserTiny
    >>> x = torch.rand(2, 1, 9, 9, dtype=torch.complex64)
    >>> ComplexDenoiser(DenoiserTiny(channels=1))(x, sigma=0.1).dtype
    torch.complex64
    >>> ComplexDenoiser(DenoiserTiny(channels=2))(x, sigma=0.1).shape
    torch.Size([2, 1, 9, 9])
    """

    def __init__(self, denoiser: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.denoiser = denoiser
        self.blind = getattr(denoiser, "blind", False)

    def _check_image(self, x: Any) -> None:
        check_tree("ComplexDenoiser", "images", x, (None, None, None), "complex")
        self._check_fit(x)
        seen = getattr(self.denoiser, "channels", None)
        if seen is not None and seen not in (x.shape[1], 2 * x.shape[1]):
            raise ShapeError(
                f"ComplexDenoiser with a denoiser of {seen} real channels expects images of shape (B, C, H, W) with "
                f"C or 2 C = {seen}, got {tuple(x.shape)}."
            )

    def _denoise(self, x: Tensor, sigma: Tensor) -> Tensor:
        if getattr(self.denoiser, "channels", None) == 2 * x.shape[1]:
            return channels_to_complex(self.denoiser(complex_to_channels(x), sigma))
        levels = sigma if len(sigma) == 1 else torch.cat([sigma, sigma])
        return torch.complex(*self.denoiser(torch.cat([x.real, x.imag]), levels).chunk(2))
