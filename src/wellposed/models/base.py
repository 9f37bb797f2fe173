"""What every denoiser has in common: `x_hat = denoiser(x, sigma)`, its checks, noise-level maps, and any image size."""

from __future__ import annotations

from abc import ABC, abstractmethod
from numbers import Real
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from wellposed.core.errors import ArgumentError, DeviceError, DTypeError, ShapeError
from wellposed.core.shapes import check_tree

__all__ = ["Denoiser", "Level", "lay_channels_last", "level_map", "pad_to_multiple", "with_map"]

Level: TypeAlias = float | Tensor
"""A noise level: a number, one per image (B,), or a map (B or 1, 1, H or 1, W or 1)."""


class Denoiser(nn.Module, ABC):
    r"""Remove white Gaussian noise: an estimate of x given :math:`x + \sigma n`.

    Subclasses keep each constructor argument as an attribute of the same name, set `channels`, and implement
    `_denoise`, which receives a checked image and a noise level of shape (B or 1, 1, H or 1, W or 1).
    """

    channels: int | None = None
    """How many channels images must have; None if any number will do."""
    blind: bool = False
    """Whether the noise level is not used, and may be left out."""

    def forward(self, x: Tensor, sigma: Level | None = None) -> Tensor:
        """Denoise images.

        Parameters
        ----------
        x : Tensor, shape (B, C, H, W)
            Real, of the dtype of the weights. Any height and width.
        sigma : float or Tensor, shape (), (B,) or (B or 1, 1, H or 1, W or 1)
            Standard deviation of the noise, in the unit of x; blind denoisers do not use it.

        Returns
        -------
        Tensor, shape (B, C, H, W)
            Of the dtype of x, also under autocast.

        Raises
        ------
        ShapeError
            If the number of channels is not that of the network, or the noise level does not fit the images.
        DTypeError
            If the images are complex, integers, or of another precision than the weights.
        DeviceError
            If the images are not where the weights are.
        ArgumentError
            If the noise level is missing or negative.
        """
        self._check_image(x)
        return self._denoise(x, self._level(x, sigma)).to(x.dtype)

    @abstractmethod
    def _denoise(self, x: Tensor, sigma: Tensor) -> Tensor:
        """Denoise checked images."""

    def _check_image(self, x: Any) -> None:
        name = type(self).__name__
        if isinstance(x, Tensor) and x.is_complex():
            raise DTypeError(f"{name} expects real images, got {x.dtype}: wrap it in ComplexDenoiser.")
        check_tree(name, "images", x, (self.channels, None, None), "real")
        self._check_fit(x)

    def _check_fit(self, x: Tensor) -> None:
        """Raise if there are no pixels, or if the weights, if any, have another precision or lie elsewhere."""
        name, precision = type(self).__name__, x.real.dtype
        if 0 in x.shape:
            raise ShapeError(f"{name} expects images with pixels, got shape {tuple(x.shape)}.")
        weight = next(self.parameters(), None)
        if weight is None:
            return
        if weight.device != x.device:
            raise DeviceError(f"{name} is on {weight.device} and got images on {x.device}: move one with .to(device).")
        if weight.dtype != precision and not torch.is_autocast_enabled(x.device.type):
            raise DTypeError(
                f"{name} has {weight.dtype} weights and got {x.dtype} images: "
                f"convert the network with .to({precision}), or the images."
            )

    def _level(self, x: Tensor, sigma: Level | None) -> Tensor:
        if sigma is not None:
            return level_map(type(self).__name__, "sigma", sigma, x)
        if not self.blind:
            raise ArgumentError(
                f"{type(self).__name__} needs the noise level: call it as denoiser(x, sigma), "
                "sigma being the standard deviation of the noise."
            )
        return torch.zeros(1, 1, 1, 1, dtype=x.real.dtype, device=x.device)


def level_map(owner: str, name: str, value: Any, x: Tensor) -> Tensor:
    """Return a noise level in a shape that broadcasts over the pixels of images.

    Parameters
    ----------
    owner, name : str
        Who asks, and for what, for the error: ("DRUNet", "sigma").
    value : float or Tensor, shape (), (1,), (B,) or (B or 1, 1, H or 1, W or 1)
        NumPy numbers and arrays are welcome.
    x : Tensor, shape (B, C, H, W)
        The images; their precision and device become those of the level.

    Returns
    -------
    Tensor, shape (B or 1, 1, H or 1, W or 1)

    Raises
    ------
    ShapeError
        If the shape is another one.
    DTypeError
        If it is neither a real number nor a real tensor.
    ArgumentError
        If it is a negative number or NaN; tensors are not looked into.

    Examples
    --------
    >>> level_map("DRUNet", "sigma", 0.1, torch.ones(2, 3, 8, 8)).shape
    torch.Size([1, 1, 1, 1])
    >>> level_map("DRUNet", "sigma", torch.tensor([0.1, 0.2]), torch.ones(2, 3, 8, 8)).shape
    torch.Size([2, 1, 1, 1])
    """
    if not isinstance(value, (Tensor, Real, np.ndarray)) or (isinstance(value, Tensor) and value.is_complex()):
        kind = value.dtype if isinstance(value, Tensor) else type(value).__name__
        raise DTypeError(f"{owner} expects {name} to be a real number or a real tensor, got {kind}.")
    if isinstance(value, Real) and not float(value) >= 0:
        raise ArgumentError(f"{owner} expects {name} >= 0, got {value}.")
    level = torch.as_tensor(value, dtype=x.real.dtype, device=x.device)
    if level.ndim == 0 or (level.ndim == 1 and level.shape[0] in (1, x.shape[0])):
        return level.reshape(-1, 1, 1, 1)
    wanted = (x.shape[0], 1, *x.shape[2:])
    if level.ndim == 4 and all(got in (1, want) for got, want in zip(level.shape, wanted, strict=True)):
        return level
    raise ShapeError(
        f"{owner} expects {name} to be a number, one per image of shape ({x.shape[0]},), or a map of shape {wanted} "
        f"whose axes may be 1, got {tuple(level.shape)}."
    )


def with_map(x: Tensor, level: Tensor) -> Tensor:
    """Append a noise level to images as one more channel.

    Parameters
    ----------
    x : Tensor, shape (B, C, H, W)
    level : Tensor, shape (B or 1, 1, H or 1, W or 1)

    Returns
    -------
    Tensor, shape (B, C + 1, H, W)
    """
    return torch.cat([x, level.expand(x.shape[0], 1, *x.shape[2:])], dim=1)


def pad_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """Repeat the last row and column until height and width are multiples of a number.

    Cropping the result of a network to `[..., :H, :W]` undoes it.

    Parameters
    ----------
    x : Tensor, shape (B, C, H, W)
    multiple : int

    Examples
    --------
    >>> pad_to_multiple(torch.ones(1, 1, 5, 8), 4).shape
    torch.Size([1, 1, 8, 8])
    """
    bottom, right = -x.shape[-2] % multiple, -x.shape[-1] % multiple
    return nn.functional.pad(x, (0, right, 0, bottom), mode="replicate") if bottom or right else x


def lay_channels_last(network: nn.Module) -> None:
    """Store convolution weights channels last, by which a network runs a fifth faster on a processor."""
    for weight in network.parameters():
        if weight.ndim == 4:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last)
