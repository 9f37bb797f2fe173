"""The U-Net of end-to-end variational networks: normalised inside and out, for complex images of any brightness."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional

from wellposed.core.arguments import check_counts
from wellposed.core.complex_view import channels_to_complex, complex_to_channels
from wellposed.core.errors import ShapeError

__all__ = ["NormUNet"]

_LEAKS = 0.2


@final
class NormUNet(nn.Module):
    r"""Bring the real and the imaginary part to mean zero and variance one, refine them by a U-Net, and undo that.

    .. math:: U(x) = \mu + \varsigma\, N\big((x - \mu) / \varsigma\big)

    Levels are pairs of 3 x 3 convolutions, each followed by instance normalisation and a leaky ReLU; they are halved by
    averages, doubled by transposed convolutions, and joined by concatenation. Images are padded with zeros on all sides
    to multiples of 2^levels.

    Parameters
    ----------
    channels : int
        Complex channels of the images.
    width : int
        Channels at full resolution; each level doubles them.
    levels : int
        How many times the resolution is halved.

    Raises
    ------
    ArgumentError
        If something is not a whole number above zero.

    References
    ----------
    Ronneberger, Fischer, Brox, *U-Net*, MICCAI 2015, arXiv:1505.04597. Sriram, Zbontar, Murrell, Defazio, Zitnick,
    Yakubova, Knoll, Johnson, *End-to-end variational networks for accelerated MRI reconstruction*, MICCAI 2020,
    arXiv:2004.06688.

    Examples
    --------
    >>> x = torch.rand(2, 1, 13, 9) + 0j
    >>> NormUNet(width=4, levels=2)(x).shape
    torch.Size([2, 1, 13, 9])
    """

    def __init__(self, channels: int = 1, width: int = 18, levels: int = 4) -> None:
        super().__init__()
        check_counts("NormUNet", channels=channels, width=width, levels=levels)
        self.channels, self.width, self.levels = channels, width, levels
        widths = [width * 2**level for level in range(levels + 1)]
        self.encode = nn.ModuleList(
            _Pair(before, after) for before, after in zip([2 * channels, *widths], widths, strict=False)
        )
        self.upsample = nn.ModuleList(
            nn.ConvTranspose2d(2 * fine, fine, 2, stride=2, bias=False) for fine in reversed(widths[:-1])
        )
        self.decode = nn.ModuleList(_Pair(2 * fine, fine) for fine in reversed(widths[:-1]))
        self.last = nn.Conv2d(width, 2 * channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Refine complex images (B, C, H, W)."""
        if not x.is_complex() or x.ndim != 4 or x.shape[1] != self.channels:
            raise ShapeError(
                f"NormUNet expects complex images of shape (B, {self.channels}, H, W), got {x.dtype} of shape "
                f"{tuple(x.shape)}."
            )
        parts = complex_to_channels(x)
        groups = parts.unflatten(1, (2, -1))
        deviation, mean = torch.std_mean(groups, dim=(2, 3, 4), keepdim=True)
        deviation = torch.where(deviation > 0, deviation, 1)
        refined = self._pass(((groups - mean) / deviation).flatten(1, 2))
        return channels_to_complex((refined.unflatten(1, (2, -1)) * deviation + mean).flatten(1, 2))

    def _pass(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        rows, columns = _missing(height, 2**self.levels), _missing(width, 2**self.levels)
        top, left = rows // 2, columns // 2
        x = functional.pad(x, (left, columns - left, top, rows - top))
        skips = []
        for encode in self.encode[:-1]:
            skips.append(encode(x))
            x = functional.avg_pool2d(skips[-1], 2)
        x = self.encode[-1](x)
        for upsample, decode in zip(self.upsample, self.decode, strict=True):
            finer = functional.leaky_relu(functional.instance_norm(upsample(x)), _LEAKS)
            x = decode(torch.cat([finer, skips.pop()], dim=1))
        return self.last(x)[..., top : top + height, left : left + width]


def _missing(size: int, multiple: int) -> int:
    """Return what is lacking to a multiple, and to two coarse pixels: one alone has no variance."""
    return max(-size % multiple, 2 * multiple - size)


class _Pair(nn.Module):
    """Two convolutions, each followed by instance normalisation and a leaky ReLU."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
        self.second = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        for conv in (self.first, self.second):
            x = functional.leaky_relu(functional.instance_norm(conv(x)), _LEAKS)
        return x
