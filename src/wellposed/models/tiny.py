"""A small denoiser for machines without a GPU."""

from __future__ import annotations

from pathlib import Path
from typing import final

from torch import Tensor
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from wellposed.models.base import pad_to_multiple, with_map
from wellposed.models.pretrained import start_from
from wellposed.models.u_shape import UShapedDenoiser

__all__ = ["DenoiserTiny"]


@final
class DenoiserTiny(UShapedDenoiser):
    r"""The U of `DRUNet`, narrow, on the half-resolution grid, predicting the correction.

    .. math:: \hat x = x + S\, U(S^{-1} [x, \sigma 1])

    :math:`S^{-1}` folds each 2 x 2 square of pixels into channels, so that every layer costs a quarter. With the
    default sizes it has 0.77 million parameters and needs about 1/46 of the arithmetic of `DRUNet`. Without biases it
    is homogeneous: :math:`D(a x, a \sigma) = a D(x, \sigma)` for :math:`a > 0`.

    Parameters
    ----------
    channels : int
        Of the images.
    widths : sequence of int
        Channels from the finest to the coarsest scale; the finest is at half resolution.
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
    Zhang, Zuo, Zhang, *FFDNet: toward a fast and flexible solution for CNN-based image denoising*, IEEE Trans. Image
    Processing 27 (2018), doi:10.1109/TIP.2018.2839891.
    Mohan, Kadkhodaie, Simoncelli, Fernandez-Granda, *Robust and interpretable blind image denoising via bias-free
    convolutional neural networks*, ICLR 2020, arXiv:1906.05478.

    Examples
    --------
    >>> import torch
    >>> denoiser = DenoiserTiny(channels=1, widths=(4, 8), blocks=1)
    >>> x = torch.rand(1, 1, 16, 16)
    >>> bool(torch.allclose(denoiser(4 * x, sigma=0.4), 4 * denoiser(x, sigma=0.1), rtol=1e-4))
    True
    """

    channels: int

    def __init__(
        self,
        channels: int = 3,
        widths: tuple[int, ...] = (32, 64, 96),
        blocks: int = 2,
        *,
        weights: str | Path | None = None,
    ) -> None:
        super().__init__(4 * (channels + 1), 4 * channels, widths, blocks)
        self.channels = channels
        start_from(self, weights)

    def _denoise(self, x: Tensor, sigma: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        folded = pixel_unshuffle(pad_to_multiple(with_map(x, sigma), 2 * self.multiple), 2)
        return x + pixel_shuffle(self._pass(folded), 2)[..., :height, :width]
