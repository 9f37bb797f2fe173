"""Images and their slopes in one tensor (B, 1 + d, C, *space): the image first, then a field for each axis of space."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from wellposed.operators import FiniteDifferences, LinearOperator

__all__ = ["Bending", "ImagePart", "SlopeMisfit", "join", "valid_slopes"]


def join(x: Tensor, slopes: Tensor) -> Tensor:
    """Return an image (B, C, *space) and its slopes (B, d, C, *space) as one tensor."""
    return torch.cat([x[:, None], slopes], dim=1)


def valid_slopes(image_shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Return one where a slope lies between two pixels, and zero beyond the last, shape (d, 1, *space)."""
    return _valid_slopes(image_shape[1:], like.real.dtype, like.device)


@lru_cache(maxsize=8)
def _valid_slopes(space: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    mask = torch.ones(len(space), 1, *space, dtype=dtype, device=device)
    for axis, size in enumerate(space):
        mask[axis].select(axis + 1, size - 1).zero_()
    return mask


@lru_cache(maxsize=8)
def _valid_bends(space: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return one where both neighbours of a derivative of a slope lie within the image, shape (d, d, 1, *space)."""
    slopes = _valid_slopes(space, dtype, device)
    mask = slopes[:, None] * slopes[None]
    for axis, size in enumerate(space):
        mask[axis, axis].narrow(axis + 1, max(size - 2, 0), min(size, 2)).zero_()
    return mask


class _OfJoint(LinearOperator):
    """An operator on images joined with their slopes."""

    def __init__(self, of_images: tuple[int, ...], measurement_shape: tuple[int, ...]) -> None:
        super().__init__((len(of_images), *of_images), measurement_shape)
        self.of_images = of_images

    @property
    def differences(self) -> FiniteDifferences:
        return FiniteDifferences(self.of_images)


class ImagePart(_OfJoint):
    """The image alone."""

    tags = frozenset({"coisometry"})

    def __init__(self, of_images: tuple[int, ...]) -> None:
        super().__init__(of_images, of_images)

    def _forward(self, x: Tensor) -> Tensor:
        return x[:, 0]

    def _adjoint(self, y: Tensor) -> Tensor:
        return join(y, y.new_zeros(len(y), len(self.of_images) - 1, *y.shape[1:]))

    def _norm(self) -> Tensor:
        return self._marker.new_ones(1)


class SlopeMisfit(_OfJoint):
    r"""How far the slopes are from the differences of the image, :math:`D x - w`."""

    def __init__(self, of_images: tuple[int, ...]) -> None:
        super().__init__(of_images, (len(of_images) - 1, *of_images))

    def _forward(self, x: Tensor) -> Tensor:
        gradient = self.differences._forward(x[:, 0])
        return gradient - valid_slopes(self.of_images, x) * x[:, 1:]

    def _adjoint(self, y: Tensor) -> Tensor:
        return join(self.differences._adjoint(y), -valid_slopes(self.of_images, y) * y)

    def _norm(self) -> Tensor:
        return (1 + self.differences._norm().to(self._marker).square()).sqrt()


class Bending(_OfJoint):
    r"""The symmetric derivative of the slopes, :math:`(E w)_{ab} = \tfrac12 (D_a w_b + D_b w_a)`."""

    def __init__(self, of_images: tuple[int, ...]) -> None:
        axes = len(of_images) - 1
        super().__init__(of_images, (axes, axes, *of_images))

    def _forward(self, x: Tensor) -> Tensor:
        axes = len(self.of_images) - 1
        slopes = (valid_slopes(self.of_images, x) * x[:, 1:]).flatten(1, 2)
        return self._symmetric(self._differences._forward(slopes).unflatten(2, (axes, -1)))

    def _adjoint(self, y: Tensor) -> Tensor:
        axes = len(self.of_images) - 1
        slopes = self._differences._adjoint(self._symmetric(y).flatten(2, 3)).unflatten(1, (axes, -1))
        slopes = valid_slopes(self.of_images, y) * slopes
        return join(torch.zeros_like(slopes[:, 0]), slopes)

    @property
    def _differences(self) -> FiniteDifferences:
        """Differences of all slopes of all channels, as if they were channels."""
        channels, *space = self.of_images
        return FiniteDifferences((channels * len(space), *space))

    def _symmetric(self, y: Tensor) -> Tensor:
        """Return the symmetric part where both derivatives lie within the image, a projection."""
        return _valid_bends(self.of_images[1:], y.real.dtype, y.device) * (y + y.transpose(1, 2)) / 2
