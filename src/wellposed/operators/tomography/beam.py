"""What all beams share: an image, a row of detector elements, and the rays between them."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional

from wellposed.core.arguments import check_whole
from wellposed.core.autograd import differentiable_linear, is_recorded
from wellposed.core.errors import ShapeError
from wellposed.core.shapes import Field
from wellposed.core.values import has_values
from wellposed.operators.base import LinearOperator
from wellposed.operators.tomography import _compiled
from wellposed.operators.tomography._angles import checked_angles
from wellposed.operators.tomography._checks import warn_if_cut_off
from wellposed.operators.tomography._compiled import can_compile
from wellposed.operators.tomography._line_sums import spread_along, sum_along
from wellposed.operators.tomography._lines import Lines, Plane, lines
from wellposed.operators.tomography._picture import draw
from wellposed.operators.tomography._ramp import ramp_filtered, ray_weights
from wellposed.operators.tomography._smear import smear
from wellposed.operators.tomography._values import with_value

__all__ = ["Beam"]

_ROUNDING = 1e-6
_PIECES = 8
_LEAST_PIECE = 2**14


class Beam(LinearOperator):
    """Line integrals in the planes of an image or a volume.

    Parameters
    ----------
    angles : Tensor, shape (A,) or (B or 1, A)
    image_shape : tuple of int, (C, H, W) or (C, D, H, W)
    rows : tuple of int
        The rows of the detector: none in a plane, else (R,).
    n_detectors : int, optional
    detector_pitch : float
    detector_offset : Tensor or float, shape (), (B,) or (B or 1, 1 or A)
    pixel_size : float
    """

    image_field: Field = "real"
    measurement_field: Field = "real"
    angles: Tensor
    detector_offset: Tensor

    def __init__(
        self,
        angles: Tensor,
        image_shape: tuple[int, ...],
        rows: tuple[int, ...],
        n_detectors: int | None,
        detector_pitch: float,
        detector_offset: Tensor | float,
        pixel_size: float,
    ) -> None:
        name = type(self).__name__
        angles = checked_angles(name, angles)
        if n_detectors is None:
            diagonal = pixel_size * math.hypot(*image_shape[-2:])
            shadow = self._shadow_of_disk(diagonal / 2) + 2 * _largest(detector_offset)
            n_detectors = math.ceil(shadow / detector_pitch - _ROUNDING)
        check_whole(name, "n_detectors", n_detectors, least=1)
        super().__init__(image_shape, (image_shape[0], angles.shape[1], *rows, n_detectors))
        self.n_detectors, self.detector_pitch, self.pixel_size = n_detectors, detector_pitch, pixel_size
        self.register_parameter_tensor("angles", angles)
        if isinstance(detector_offset, (int, float)):
            detector_offset = torch.full((), float(detector_offset), dtype=self.angles.dtype, device=angles.device)
        self.register_parameter_tensor("detector_offset", detector_offset)
        views = angles.shape[1]
        offset = self.detector_offset
        if offset.ndim > 2 or (offset.ndim == 2 and offset.shape[1] not in (1, views)):
            raise ShapeError(
                f"{name} expects detector_offset to be one number, one per image (B,), or one per view "
                f"(B or 1, {views}); got shape {tuple(offset.shape)}."
            )
        if has_values(self.angles) and has_values(offset):
            with torch.no_grad():
                warn_if_cut_off(name, self._plane, *self._views(), unit=self._magnification * pixel_size)

    @property
    def _divergence(self) -> float:
        """The inverse of the distance from the source to the centre of rotation; zero for parallel rays."""
        return 0.0

    @property
    def _magnification(self) -> float:
        """How much larger the shadow of the centre of rotation is on the detector."""
        return 1.0

    @abstractmethod
    def _shadow_of_disk(self, radius: float) -> float:
        """Return the width on the detector of the shadow of a disk about the centre of rotation."""

    @property
    def _plane(self) -> Plane:
        height, width = cast("tuple[int, int]", self.image_shape[-2:])
        pitch = self.detector_pitch / (self._magnification * self.pixel_size)
        return Plane(height, width, self.n_detectors, pitch, self._divergence * self.pixel_size)

    def _views(self) -> tuple[Tensor, Tensor]:
        """Return the angles and the first rays, in pixels at the centre of rotation, each of shape (P, A)."""
        offset = self.detector_offset if self.detector_offset.ndim == 2 else self.detector_offset.reshape(-1, 1)
        first = (offset - (self.n_detectors - 1) / 2 * self.detector_pitch) / (self._magnification * self.pixel_size)
        angles, first = torch.broadcast_tensors(self.angles, first)
        return angles, first

    def rays(self) -> tuple[Tensor, Tensor]:
        """Return a point of each ray and its direction, (x, y) or (x, y, z) from the centre, in the unit of pixel_size.

        Returns
        -------
        points, directions : Tensor, shape (B or 1, A, ..., n_detectors, 2 or 3)
            The point where the ray crosses the detector's plane moved into the centre of rotation, and a unit vector.
        """
        angles, first = self._views()
        plane = self._plane
        u = first[..., None] + plane.pitch * torch.arange(plane.bins, dtype=first.dtype, device=first.device)
        across = torch.stack([angles.cos(), angles.sin()], dim=-1)[..., None, :]
        along = torch.stack([-angles.sin(), angles.cos()], dim=-1)[..., None, :]
        directions = along + plane.divergence * u[..., None] * across
        return u[..., None] * across * self.pixel_size, directions / directions.norm(dim=-1, keepdim=True)

    def plot(self, path: str | Path, *, views: Sequence[int] = (0,)) -> None:
        """Draw the beam to a picture file: image, rays, detector and source on their axes, in the unit of `pixel_size`.

        Each view is drawn from above, x to the right and y upwards; where the detector has rows, also from the side.

        Parameters
        ----------
        path : str or Path
            Ends in .png, .pdf or .svg.
        views : sequence of int
            Which views to draw.

        Raises
        ------
        ArgumentError
            If there is no such view.
        MissingDependencyError
            If matplotlib is not installed.
        """
        draw(path, self, views)

    def _lines(self, views: slice = slice(None)) -> Lines:
        angles, first = self._views()
        return lines(self._plane, angles[:, views], first[:, views])

    def _pieces(self) -> Iterator[slice]:
        """Yield the views in pieces, so that the lines of one take little memory beside the sinogram."""
        views = self.angles.shape[1]
        rays = self.parameter_batch * self.n_detectors
        step = max(1, max(_LEAST_PIECE, views * rays // _PIECES) // rays)
        yield from (slice(begin, begin + step) for begin in range(0, views, step))

    def _is_calibrated(self) -> bool:
        """Tell whether gradients of the geometry may be asked for."""
        return any(is_recorded(value) or _has_tangent(value) for value in (self.angles, self.detector_offset))

    def _project(self, x: Tensor) -> Tensor:
        """Return the line integrals (B, C, A, n_detectors) of images (B, C, H, W), differentiable."""
        if self._is_calibrated():
            rays = self._lines()
            return self._same_value(self.pixel_size * rays.length() * sum_along(x, rays), "_project_values", x)
        return differentiable_linear(self._project_values, self._backproject_values, x)

    def _backproject(self, y: Tensor) -> Tensor:
        """Return the exact transpose of `_project`, differentiable."""
        if self._is_calibrated():
            rays = self._lines()
            spread = spread_along(self.pixel_size * rays.length() * y, rays, self._size)
            return self._same_value(spread, "_backproject_values", y)
        return differentiable_linear(self._backproject_values, self._project_values, y)

    def _project_values(self, x: Tensor) -> Tensor:
        if can_compile(x):
            return _compiled.project(x, self._plane, *self._views(), self.pixel_size)
        y = x.new_empty(*x.shape[:2], self.angles.shape[1], self.n_detectors)
        for views in self._pieces():
            rays = self._lines(views)
            y[:, :, views] = sum_along(x, rays).mul_(self.pixel_size * rays.length())
        return y

    def _backproject_values(self, y: Tensor) -> Tensor:
        if can_compile(y):
            return _compiled.backproject(y, self._plane, *self._views(), self.pixel_size)
        x = y.new_zeros(*y.shape[:2], *self._size)
        for views in self._pieces():
            rays = self._lines(views)
            x += spread_along(self.pixel_size * rays.length() * y[:, :, views], rays, self._size)
        return x

    def _same_value(self, graph: Tensor, method: str, data: Tensor) -> Tensor:
        """Return what a method computes from data, to the last bit, with the derivatives of a graph that rounds it."""

        def compute(data: Tensor, angles: Tensor, offset: Tensor) -> Tensor:
            return getattr(self.with_params(angles=angles, detector_offset=offset), method)(data)

        return with_value(graph, compute, data, self.angles, self.detector_offset)

    @property
    def _size(self) -> tuple[int, int]:
        return cast("tuple[int, int]", self.image_shape[-2:])

    def fbp(self, y: Tensor, *, filter: str = "ramp") -> Tensor:  # noqa: A002
        """Return the filtered backprojection of sinograms, the classical reconstruction; differentiable in y.

        Views may be spread in any way: each counts for the angle that it stands for. Of fan beams, a full turn counts
        each line twice and is halved, a shorter one gets Parker's weights.

        Parameters
        ----------
        y : Tensor, shape (B, *measurement_shape)
        filter : {"ramp", "shepp-logan", "cosine", "hamming", "hann"}
            From the sharpest to the smoothest.

        Returns
        -------
        Tensor, shape (B, *image_shape)

        Raises
        ------
        UnknownNameError
            If there is no such filter.
        ShapeError, DTypeError
            If the sinograms do not fit.

        Warns
        -----
        UserWarning
            If a fan beam turns by less than half a turn and the fan's angle: no weights make up for that.

        References
        ----------
        Kak and Slaney, *Principles of Computerized Tomographic Imaging*, SIAM 2001, chapter 3.
        """
        return self._fbp(self._checked_measurement(y), filter)

    def _fbp(self, y: Any, window: str) -> Tensor:
        angles, first = (value.detach() for value in self._views())
        plane, beyond = self._widened(first)
        shares = len(angles) == 1
        images = []
        for i in range(len(angles)):
            sinograms = y.flatten(0, 1) if shares else y[i]
            weighted = sinograms * ray_weights(self._plane, angles[i], first[i]) / self.pixel_size
            filtered = ramp_filtered(functional.pad(weighted, (beyond, beyond)), plane.pitch, window)
            images.append(smear(filtered, plane, angles[i], first[i] - beyond * plane.pitch))
        return images[0].unflatten(0, y.shape[:2]) if shares else torch.stack(images)

    def _widened(self, first: Tensor) -> tuple[Plane, int]:
        """Return a detector that sees all of the image, where what the filter spreads lands, and its more elements."""
        plane = self._plane
        radius = math.hypot(plane.height, plane.width) / 2
        reach = radius / math.sqrt(1 - (plane.divergence * radius) ** 2)
        seen = min(-float(first.max()), float(first.min()) + plane.pitch * (plane.bins - 1))
        beyond = max(0, math.ceil((reach - seen) / plane.pitch))
        return replace(plane, bins=plane.bins + 2 * beyond), beyond


def _largest(offset: Tensor | float) -> float:
    if isinstance(offset, Tensor):
        return float(offset.detach().abs().max()) if has_values(offset) else 0.0
    return abs(offset)


def _has_tangent(*tensors: Tensor) -> bool:
    return any(torch.autograd.forward_ad.unpack_dual(tensor).tangent is not None for tensor in tensors)
