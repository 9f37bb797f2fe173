"""Wavelets that do not see where an image begins: all shifts of the orthonormal ones at once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from wellposed.core.arguments import check_counts
from wellposed.core.names import check_name
from wellposed.core.shapes import fixed_shape
from wellposed.operators._parseval import ParsevalFrame, check_has_space
from wellposed.operators.wavelets import WAVELETS, daubechies

__all__ = ["UndecimatedWavelets"]


class UndecimatedWavelets(ParsevalFrame):
    r"""The translation-invariant wavelet transform of images or volumes of any size, periodic: a Parseval frame.

    .. math:: y = W x, \qquad W^T W = I

    Each level splits the averages of the last along every axis of space, without leaving out any pixel, by filters that
    are stretched twofold from level to level: shifting the image shifts its coefficients. The bands stand before the
    channels, (B, bands, C, *space), the averages first, then the details from the coarsest level to the finest.

    Parameters
    ----------
    image_shape : tuple of int, (C, H, W) or (C, D, H, W)
    wavelet : str
        "db1" (Haar) to "db8".
    levels : int

    Raises
    ------
    UnknownNameError
        If there is no such wavelet.
    ArgumentError
        If `levels` is not a whole number above zero.

    References
    ----------
    Coifman and Donoho, *Translation-invariant de-noising*, in Wavelets and Statistics, 1995. Starck, Fadili, Murtagh,
    *The undecimated wavelet decomposition and its reconstruction*, IEEE Trans. Image Processing 16 (2007).

    Examples
    --------
    >>> W = UndecimatedWavelets((1, 4, 4), "db1", levels=1)
    >>> W(torch.ones(1, 1, 4, 4)).flatten(2).sum(2).round().abs().tolist()
    [[16.0, 0.0, 0.0, 0.0]]
    """

    image_shape: tuple[int, ...]

    def __init__(self, image_shape: tuple[int, ...], wavelet: str = "db1", levels: int = 3) -> None:
        image_shape = fixed_shape("UndecimatedWavelets", image_shape)
        check_name("wavelet", wavelet, WAVELETS)
        check_counts("UndecimatedWavelets", levels=levels)
        check_has_space("UndecimatedWavelets", image_shape)
        bands = 1 + levels * (2 ** (len(image_shape) - 1) - 1)
        super().__init__(image_shape, (bands, *image_shape))
        self.wavelet, self.levels = wavelet, levels

    def shares(self) -> Tensor:
        """Return the weights of the bands by which a sum of magnitudes is the mean of that of `Wavelets` over shifts.

        They are zero for the averages and :math:`2^{-d j / 2}` for the details of level j in d dimensions, of shape
        (1, bands, 1, ..., 1).
        """
        dimensions = len(self._axes())
        levels = [level for level in range(self.levels, 0, -1) for _ in range(2**dimensions - 1)]
        weights = [0.0, *(2 ** (-dimensions * level / 2) for level in levels)]
        return torch.tensor(weights, dtype=self.dtype, device=self.device).view(1, -1, *[1] * len(self.image_shape))

    def _forward(self, x: Tensor) -> Tensor:
        averages, details = x[:, None], []
        for level in range(self.levels):
            for axis in self._axes():
                averages = torch.cat(self._split(averages, axis, 2**level), dim=1)
            details.append(averages[:, 1:])
            averages = averages[:, :1]
        return torch.cat([averages, *reversed(details)], dim=1)

    def _adjoint(self, y: Tensor) -> Tensor:
        count = 2 ** len(self._axes()) - 1
        averages, *details = y.split([1, *[count] * self.levels], dim=1)
        for level in reversed(range(self.levels)):
            averages = torch.cat([averages, details[self.levels - 1 - level]], dim=1)
            for axis in reversed(self._axes()):
                low, high = averages.chunk(2, dim=1)
                averages = self._merge(low, high, axis, 2**level)
        return averages[:, 0]

    def _split(self, x: Tensor, axis: int, stretch: int) -> list[Tensor]:
        """Return averages and differences along one axis, by periodic filters with gaps."""
        return [_filtered([x], [taps], axis, stretch) for taps in self._filters()]

    def _merge(self, averages: Tensor, differences: Tensor, axis: int, stretch: int) -> Tensor:
        """Return the transpose of `_split`."""
        return _filtered([averages, differences], self._filters(), axis, -stretch)

    def _filters(self) -> tuple[list[float], list[float]]:
        low, high = daubechies(int(self.wavelet[2:]))
        return [tap / 2**0.5 for tap in low], [tap / 2**0.5 for tap in high]


def _filtered(images: Sequence[Tensor], filters: Sequence[Sequence[float]], axis: int, stride: int) -> Tensor:
    """Return the sum of images, each weighted by its filter, whose taps look `stride` pixels further on each time."""
    total = images[0] * filters[0][0]
    for image, taps in zip(images, filters, strict=True):
        for tap, weight in enumerate(taps):
            if image is not images[0] or tap > 0:
                _add_from_ahead(total, image, weight, axis, tap * stride % image.shape[axis])
    return total


def _add_from_ahead(total: Tensor, image: Tensor, weight: float, axis: int, step: int) -> None:
    """Add what lies so many pixels further on, periodically, without a copy of it."""
    rest = image.shape[axis] - step
    total.narrow(axis, 0, rest).add_(image.narrow(axis, step, rest), alpha=weight)
    if step:
        total.narrow(axis, rest, step).add_(image.narrow(axis, 0, step), alpha=weight)
