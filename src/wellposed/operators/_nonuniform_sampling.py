"""What the operators share that sample k-space off the grid: the trajectory, kept plans, and the Toeplitz gram."""

from __future__ import annotations

import math
import warnings
from typing import Any, cast

import torch
from torch import Tensor

from wellposed.core.errors import ArgumentError, DTypeError, ShapeError
from wellposed.core.shapes import Field, check_tensor
from wellposed.core.values import has_values
from wellposed.operators._nufft import Grid, to_image, to_samples
from wellposed.operators._nufft_plans import Plans, default_tolerance
from wellposed.operators._toeplitz import convolve, toeplitz_spectrum
from wellposed.operators.base import LinearOperator

__all__ = ["NonuniformSampling", "checked_trajectory"]

_BEYOND_PI = 1 + 1e-4
_CYCLES_PER_PIXEL = 0.5


class NonuniformSampling(LinearOperator):
    """Sample the Fourier transform of what `_seen` makes of an image, off the grid.

    Parameters
    ----------
    trajectory : Tensor, shape (B or 1, ..., d)
    image_shape : tuple of int
    channels : int, optional
        Of the measurements.
    tolerance : float, optional
    """

    image_field: Field = "complex"
    measurement_field: Field = "complex"
    trajectory: Tensor

    def __init__(
        self, trajectory: Tensor, image_shape: tuple[int, ...], channels: int | None, tolerance: float | None
    ) -> None:
        name = type(self).__name__
        if len(image_shape) not in (3, 4):
            raise ShapeError(f"{name} expects an image shape (C, H, W) or (C, D, H, W), got {image_shape}.")
        if tolerance is not None and not 0 < tolerance < 1:
            raise ArgumentError(f"{name} expects a tolerance between 0 and 1, got {tolerance}.")
        trajectory = checked_trajectory(name, trajectory, image_shape[1:])
        super().__init__(image_shape, (channels, *trajectory.shape[1:-1]))
        self.register_parameter_tensor("trajectory", trajectory)
        self.tolerance = tolerance

    def _seen(self, x: Tensor) -> Tensor:
        """Return the images that are transformed."""
        return x

    def _combined(self, images: Tensor) -> Tensor:
        """Return the transpose of `_seen`."""
        return images

    def _forward(self, x: Tensor) -> Tensor:
        y = to_samples(self._seen(x), self._points(), self._grid())
        return y.unflatten(-1, self.trajectory.shape[1:-1])

    def _adjoint(self, y: Tensor) -> Tensor:
        return self._combined(to_image(y.flatten(2), self._points(), self._grid()))

    def _gram(self, x: Tensor) -> Tensor:
        spectrum = self.derived("spectrum", ("trajectory",), lambda: toeplitz_spectrum(self._points(), self._sizes()))
        return self._combined(convolve(self._seen(x), spectrum, len(self._sizes())))

    def _points(self) -> Tensor:
        return self.trajectory.flatten(1, -2)

    def _sizes(self) -> tuple[int, ...]:
        return cast("tuple[int, ...]", self.image_shape[1:])

    def _grid(self) -> Grid:
        tolerance = default_tolerance(self.trajectory.dtype) if self.tolerance is None else self.tolerance
        grid = Grid(self._sizes(), tolerance)
        if not _is_plain(self.trajectory):
            return grid
        plans: Any = self._kept(
            "plans",
            (self.trajectory,),
            lambda: cast("Tensor", Plans(self._points().detach(), self._sizes(), tolerance)),
        )
        return Grid(self._sizes(), tolerance, plans)


def _is_plain(tensor: Tensor) -> bool:
    return not torch._C._functorch.is_functorch_wrapped_tensor(tensor)


def checked_trajectory(owner: str, trajectory: Tensor, space: tuple[int, ...]) -> Tensor:
    """Return a trajectory of shape (B or 1, ..., d), or say what is wrong with it; (K, d) becomes (1, K, d).

    Parameters
    ----------
    owner : str
    trajectory : Tensor
    space : tuple of int
        The sizes of the image.

    Raises
    ------
    DTypeError
        If it is no tensor, or not float32 or float64.
    ShapeError
        If it has another shape.
    ArgumentError
        If a coordinate is not finite, or outside [-pi, pi].
    """
    check_tensor(owner, "trajectory", trajectory)
    if trajectory.ndim == 2 and not isinstance(trajectory, torch.nn.Parameter):
        trajectory = trajectory[None]
    if trajectory.ndim < 3 or trajectory.shape[-1] != len(space) or trajectory.numel() == 0:
        raise ShapeError(
            f"{owner} expects a trajectory of shape (K, {len(space)}), or (B or 1, ..., {len(space)}), with one "
            f"coordinate for each axis of the image; got {tuple(trajectory.shape)}."
        )
    if trajectory.dtype not in (torch.float32, torch.float64):
        raise DTypeError(f"{owner} expects a trajectory in float32 or float64, got {trajectory.dtype}.")
    if has_values(trajectory):
        _check_units(owner, trajectory.detach(), space)
    return trajectory


def _check_units(owner: str, trajectory: Tensor, space: tuple[int, ...]) -> None:
    """Raise if a coordinate cannot be in radians per pixel, and warn if all look like cycles per pixel."""
    if not bool(torch.isfinite(trajectory).all()):
        raise ArgumentError(f"{owner} expects a finite trajectory, got NaN or infinity.")
    largest = float(trajectory.abs().max())
    if largest > math.pi * _BEYOND_PI:
        raise ArgumentError(
            f"{owner} expects a trajectory in radians per pixel, in [-pi, pi], got one up to {largest:g}: multiply by "
            f"2 pi if it is in cycles per pixel, by 2 pi / {max(space)} if in cycles per field of view, by 2 pi times "
            "the pixel size if in cycles per unit of length."
        )
    if 0.98 * _CYCLES_PER_PIXEL < largest <= _CYCLES_PER_PIXEL:
        warnings.warn(
            f"{owner} takes a trajectory in radians per pixel, and this one ends at {largest:g}: if it is in cycles "
            "per pixel, multiply it by 2 pi.",
            stacklevel=5,
        )
