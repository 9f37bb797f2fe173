"""DRUNet, the denoiser of plug-and-play restoration."""

from __future__ import annotations

from pathlib import Path
from typing import final

from torch import Tensor

from wellposed.models.base import pad_to_multiple, with_map
from wellposed.models.pretrained import start_from
from wellposed.models.u_shape import UShapedDenoiser

__all__ = ["DRUNet"]


@final
class DRUNet(UShapedDenoiser):
    r"""A U-shaped network of residual blocks that reads the noise level as one more channel.

    .. math:: \hat x = U([x, \sigma 1])

    Without biases it is homogeneous, :math:`D(a x, a \sigma) = a D(x, \sigma)` for :math:`a > 0`, so that images of any
    range can be denoised. The tensors are those of the published checkpoints (`drunet_color.pth`, `drunet_gray.pth`),
    which `load_weights` reads as they are. Images whose sizes are not multiples of 8 are padded by repeating the last
    row and column, and cropped after.

    Parameters
    ----------
    channels : int
        Of the images.
    widths : sequence of int
        Channels from the finest to the coarsest scale.
    blocks : int
        Residual blocks per scale and direction.
    weights : str or Path, optional
        Start from weights by name or from a file, as `weights.fill` takes them; None: from random ones.

    Raises
    ------
    ArgumentError
        If there are fewer than two widths, or something is not a whole number above zero.

    References
    ----------
    Zhang, Li, Zuo, Zhang, Van Gool, Timofte, *Plug-and-play image restoration with deep denoiser prior*, IEEE Trans.
    Pattern Analysis and Machine Intelligence 44 (2022), doi:10.1109/TPAMI.2021.3088914, arXiv:2008.13751.

    Examples
    --------
    >>> import torch
    >>> denoiser = DRUNet(channels=1, widths=(4, 8), blocks=1)
    >>> denoiser(torch.rand(2, 1, 13, 9), sigma=0.1).shape
    torch.Size([2, 1, 13, 9])
    """

    channels: int

    def __init__(
        self,
        channels: int = 3,
        widths: tuple[int, ...] = (64, 128, 256, 512),
        blocks: int = 4,
        *,
        weights: str | Path | None = None,
    ) -> None:
        super().__init__(channels + 1, channels, widths, blocks)
        self.channels = channels
        start_from(self, weights)

    def _denoise(self, x: Tensor, sigma: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        return self._pass(pad_to_multiple(with_map(x, sigma), self.multiple))[..., :height, :width]
