"""The U-shaped network of residual blocks that DRUNet and its small relative share."""

from __future__ import annotations

from abc import ABC
from itertools import pairwise

from torch import Tensor, nn

from wellposed.core.arguments import check_counts
from wellposed.core.errors import ArgumentError
from wellposed.models.base import Denoiser, lay_channels_last
from wellposed.models.convolve import convolve

__all__ = ["ResidualBlock", "UShapedDenoiser"]


class ResidualBlock(nn.Module):
    r"""Two convolutions around a ReLU, and a skip: :math:`x + W_2 \max(W_1 x, 0)`, without biases.

    Parameters
    ----------
    width : int
        Number of channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.res = nn.Sequential(_conv(width, width), nn.ReLU(inplace=True), _conv(width, width))

    def forward(self, x: Tensor) -> Tensor:
        """Refine features (B, width, H, W)."""
        return self.res(x).add_(x)


class UShapedDenoiser(Denoiser, ABC):
    """A bias-free U of residual blocks, its levels joined by strided convolutions and by skips that add.

    Tensors are named as in the published DRUNet: `m_head`, `m_down1`, ..., `m_body`, ..., `m_up1`, `m_tail`.

    Parameters
    ----------
    in_channels, out_channels : int
        What the U reads and writes, the noise level map included.
    widths : sequence of int
        Channels from the finest to the coarsest scale; each scale halves height and width.
    blocks : int
        Residual blocks per scale and direction.

    Raises
    ------
    ArgumentError
        If there are fewer than two widths, or something is not a whole number above zero.
    """

    def __init__(self, in_channels: int, out_channels: int, widths: tuple[int, ...], blocks: int) -> None:
        super().__init__()
        name = type(self).__name__
        if len(widths) < 2:
            raise ArgumentError(f"{name} expects at least two widths, from the finest scale on, got {widths}.")
        check_counts(name, in_channels=in_channels, out_channels=out_channels, blocks=blocks)
        check_counts(name, **{f"widths[{scale}]": width for scale, width in enumerate(widths)})
        self.widths, self.blocks = tuple(widths), blocks
        self.m_head = _conv(in_channels, widths[0])
        for scale, (fine, coarse) in enumerate(pairwise(widths), start=1):
            down = nn.Conv2d(fine, coarse, 2, stride=2, bias=False)
            up = nn.ConvTranspose2d(coarse, fine, 2, stride=2, bias=False)
            self.add_module(f"m_down{scale}", nn.Sequential(*self._refine(fine), down))
            self.add_module(f"m_up{scale}", nn.Sequential(up, *self._refine(fine)))
        self.m_body = nn.Sequential(*self._refine(widths[-1]))
        self.m_tail = _conv(widths[0], out_channels)
        lay_channels_last(self)

    @property
    def multiple(self) -> int:
        """What the height and the width inside the U are multiples of: 2 to the number of halvings."""
        return 2 ** (len(self.widths) - 1)

    def _refine(self, width: int) -> list[ResidualBlock]:
        return [ResidualBlock(width) for _ in range(self.blocks)]

    def _pass(self, x: Tensor) -> Tensor:
        """Run the U on features (B, in_channels, H, W) whose sizes are multiples of `multiple`."""
        scales = range(1, len(self.widths))
        skips = [self.m_head(x)]
        for scale in scales:
            skips.append(self.get_submodule(f"m_down{scale}")(skips[-1]))
        x = self.m_body(skips[-1])
        for scale in reversed(scales):
            x = self.get_submodule(f"m_up{scale}")(x.add_(skips.pop()))
        return convolve(x.add_(skips.pop()), self.m_tail.weight)


def _conv(in_channels: int, out_channels: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
