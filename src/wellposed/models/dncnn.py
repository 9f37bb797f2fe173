"""DnCNN, a plain stack of convolutions that predicts the correction."""

from __future__ import annotations

from pathlib import Path
from typing import final

from torch import Tensor, nn

from wellposed.core.arguments import check_counts
from wellposed.core.errors import ArgumentError
from wellposed.models.base import Denoiser
from wellposed.models.pretrained import start_from

__all__ = ["DnCNN"]


@final
class DnCNN(Denoiser):
    r"""A stack of 3 x 3 convolutions and ReLUs whose output is added to the image.

    .. math:: \hat x = x + W_n\, r(W_{n-1} \cdots r(W_1 x + b_1) \cdots + b_{n-1}) + b_n, \qquad r(t) = \max(t, 0)

    It is blind: one network for one noise level, or for all of them. The tensors are those of the published checkpoints
    (`dncnn_sigma2_color.pth` and its relatives), which `load_weights` reads as they are; those expect noise of a
    standard deviation of about 2/255. There is no batch normalisation, so that an image does not depend on its batch.

    Parameters
    ----------
    channels : int
        Of the images.
    width : int
        Channels of the hidden layers.
    depth : int
        Number of convolutions, at least two.
    bias : bool
        Whether the convolutions add constants; without, the network is homogeneous: D(a x) = a D(x) for a > 0.
    weights : str or Path, optional
        Start from weights by name or from a file, as `weights.fill` takes them; None: from random ones.

    Raises
    ------
    ArgumentError
        If the depth is one, or something is not a whole number above zero.

    References
    ----------
    Zhang, Zuo, Chen, Meng, Zhang, *Beyond a Gaussian denoiser: residual learning of deep CNN for image denoising*, IEEE
    Trans. Image Processing 26 (2017), doi:10.1109/TIP.2017.2662206.
    Pesquet, Repetti, Terris, Wiaux, *Learning maximally monotone operators for image recovery*, SIAM J. Imaging
    Sciences 14 (2021), arXiv:2012.13247 (the published weights).

    Examples
    --------
    >>> import torch
    >>> DnCNN(channels=1, width=8, depth=4)(torch.rand(2, 1, 13, 9)).shape
    torch.Size([2, 1, 13, 9])
    """

    channels: int
    blind = True

    def __init__(
        self,
        channels: int = 3,
        width: int = 64,
        depth: int = 20,
        *,
        bias: bool = True,
        weights: str | Path | None = None,
    ) -> None:
        super().__init__()
        check_counts("DnCNN", channels=channels, width=width, depth=depth)
        if depth < 2:
            raise ArgumentError(f"DnCNN expects a depth of at least 2, one convolution in and one out, got {depth}.")
        self.channels, self.width, self.depth, self.bias = channels, width, depth, bias
        self.in_conv = nn.Conv2d(channels, width, 3, padding=1, bias=bias)
        self.conv_list = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1, bias=bias) for _ in range(depth - 2))
        self.out_conv = nn.Conv2d(width, channels, 3, padding=1, bias=bias)
        start_from(self, weights)

    def _denoise(self, x: Tensor, _sigma: Tensor) -> Tensor:
        features = self.in_conv(x).relu_()
        for conv in self.conv_list:
            features = conv(features).relu_()
        return x + self.out_conv(features)
