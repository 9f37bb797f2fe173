"""Rays from a point to a flat detector, through a volume."""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional

from wellposed.core.autograd import differentiable_linear, is_recorded
from wellposed.operators.tomography import _cone_compiled, _cone_plain
from wellposed.operators.tomography._checks import check_positive, check_source, checked_image_shape
from wellposed.operators.tomography._compiled import can_compile
from wellposed.operators.tomography._cone_plain import Cone
from wellposed.operators.tomography._depth import checked_rows, heights
from wellposed.operators.tomography._ramp import ramp_filtered, ray_weights
from wellposed.operators.tomography.beam import Beam

__all__ = ["ConeBeam3D"]


class ConeBeam3D(Beam):
    r"""Integrate volumes along rays that spread from a source, which circles the volume with a flat detector.

    In the plane of the source's orbit this is `FanBeam2D`; the rows of the detector are at other heights, and their
    rays climb from the source's height, which is that of the middle of the volume. Where a ray crosses a row, or
    column, of all slices, the four voxels next to it are interpolated. Rays steeper than 45 degrees are sampled
    coarsely.

    Parameters
    ----------
    angles : Tensor, shape (A,) or (B or 1, A)
        In radians; a full turn is 2 pi. Differentiable.
    image_shape : tuple of int, (C, D, H, W)
        The axis of rotation runs along the depth.
    source_distance, detector_distance : float
        From the source to the axis of rotation, and from there to the detector, in the unit of `pixel_size`.
    n_detectors, n_rows : int, optional
        Columns and rows of the detector; by default as many as the shadow of the volume needs.
    detector_pitch, row_pitch : float
        From one column, and one row, to the next, on the detector.
    detector_offset : Tensor or float, shape (), (B,) or (B or 1, A)
        As for `FanBeam2D`. Differentiable.
    row_offset : float
        How high the middle of the detector lies above the source's orbit, towards later slices, on the detector.
    pixel_size : float
        Side of a pixel of a slice, in any unit of length.
    slice_spacing : float, optional
        From one slice to the next; by default `pixel_size`.

    Raises
    ------
    ShapeError, ArgumentError
        As `FanBeam2D`.

    Warns
    -----
    UserWarning
        As `ParallelBeam2D`.

    References
    ----------
    Feldkamp, Davis, Kress, *Practical cone-beam algorithm*, J. Opt. Soc. Am. A 1 (1984), for `fbp`.

    Examples
    --------
    >>> import torch
    >>> from wellposed.data import uniform_angles
    >>> angles = uniform_angles(12, span=2 * torch.pi)
    >>> A = ConeBeam3D(angles, (1, 8, 16, 16), source_distance=40.0, detector_distance=40.0)
    >>> A(torch.ones(1, 1, 8, 16, 16)).shape
    torch.Size([1, 1, 12, 23, 48])
    """

    def __init__(
        self,
        angles: Tensor,
        image_shape: tuple[int, int, int, int],
        source_distance: float,
        detector_distance: float,
        n_detectors: int | None = None,
        n_rows: int | None = None,
        detector_pitch: float = 1.0,
        row_pitch: float = 1.0,
        detector_offset: Tensor | float = 0.0,
        row_offset: float = 0.0,
        pixel_size: float = 1.0,
        slice_spacing: float | None = None,
    ) -> None:
        name = "ConeBeam3D"
        shape = checked_image_shape(name, image_shape, "C, D, H, W")
        check_positive(name, detector_pitch=detector_pitch, pixel_size=pixel_size)
        check_source(name, source_distance, detector_distance, (shape[2], shape[3]), pixel_size)
        self.source_distance, self.detector_distance = source_distance, detector_distance
        nearest = source_distance - pixel_size * math.hypot(*shape[2:]) / 2
        scale = (source_distance + detector_distance) / nearest
        spacing, rows = checked_rows(name, shape[1], slice_spacing, pixel_size, n_rows, row_pitch, row_offset, scale)
        super().__init__(angles, shape, (rows,), n_detectors, detector_pitch, detector_offset, pixel_size)
        self.n_rows, self.row_pitch, self.row_offset, self.slice_spacing = rows, row_pitch, row_offset, spacing

    @property
    def _divergence(self) -> float:
        return 1 / self.source_distance

    @property
    def _magnification(self) -> float:
        return (self.source_distance + self.detector_distance) / self.source_distance

    def _shadow_of_disk(self, radius: float) -> float:
        length = self.source_distance + self.detector_distance
        return 2 * length * radius / math.sqrt(self.source_distance**2 - radius**2)

    def rays(self) -> tuple[Tensor, Tensor]:
        """Return a point of each ray and its direction, (x, y, z): shape (B or 1, A, n_rows, n_detectors, 3)."""
        points, directions = (part[:, :, None].expand(-1, -1, self.n_rows, -1, -1) for part in super().rays())
        z = self._row_heights(points)[:, None, None].expand(*points.shape[:-1], 1)
        obliquity = (1 + points.square().sum(-1, keepdim=True) * self._divergence**2).sqrt()
        climbing = torch.cat([directions * obliquity, z * self._divergence], dim=-1)
        return torch.cat([points, z], dim=-1), climbing / climbing.norm(dim=-1, keepdim=True)

    def _forward(self, x: Tensor) -> Tensor:
        if self._is_calibrated():
            return self._same_value(_cone_plain.project(x, self._cone()), "_values", x) * self.pixel_size
        return differentiable_linear(self._values, self._transposed_values, x) * self.pixel_size

    def _adjoint(self, y: Tensor) -> Tensor:
        if self._is_calibrated():
            plain = _cone_plain.backproject(y, self._cone(), self._depth_and_size)
            return self._same_value(plain, "_transposed_values", y) * self.pixel_size
        return differentiable_linear(self._transposed_values, self._values, y) * self.pixel_size

    def _fbp(self, y: Any, window: str) -> Tensor:
        angles, first = (value.detach() for value in self._views())
        plane, beyond = self._widened(first)
        code = _cone_compiled if can_compile(y) and not is_recorded(y) else _cone_plain
        cone, volumes = self._cone(), []
        u = first[..., None, :] + plane.pitch * torch.arange(self.n_detectors, device=y.device, dtype=y.dtype)[:, None]
        tangents = (plane.divergence * u.transpose(-1, -2)[..., None, :]).square()
        rising = (cone.heights * cone.thickness * plane.divergence)[:, None].square()
        slant = ((1 + tangents) / (1 + tangents + rising)).sqrt()
        for p in range(len(angles)):
            rays = y.flatten(0, 1) if len(angles) == 1 else y[p]
            weighted = rays * ray_weights(self._plane, angles[p], first[p])[:, None] * slant[p] / self.pixel_size
            filtered = ramp_filtered(functional.pad(weighted, (beyond, beyond)), plane.pitch, window)
            geometry = cone._replace(angles=angles[p : p + 1])
            start = first[p] - beyond * plane.pitch
            views = filtered.transpose(-1, -2)
            volumes.append(code.smear(views, geometry, self._depth_and_size, plane.pitch, start))
        return volumes[0].unflatten(0, y.shape[:2]) if len(angles) == 1 else torch.stack(volumes)

    def _values(self, x: Tensor) -> Tensor:
        code = _cone_compiled if can_compile(x) else _cone_plain
        return code.project(x, self._cone())

    def _transposed_values(self, y: Tensor) -> Tensor:
        code = _cone_compiled if can_compile(y) else _cone_plain
        return code.backproject(y, self._cone(), self._depth_and_size)

    def _cone(self) -> Cone:
        angles, _ = self._views()
        plane, thickness = self._plane, self.slice_spacing / self.pixel_size
        rows = self._row_heights(self.angles) / self.slice_spacing
        return Cone(self._lines(), angles, rows, plane.divergence, thickness)

    def _row_heights(self, like: Tensor) -> Tensor:
        """Return how high the rows of the detector lie at the centre of rotation, in the unit of pixel_size."""
        return heights(self.n_rows, self.row_pitch, self.row_offset, like) / self._magnification

    @property
    def _depth_and_size(self) -> tuple[int, int, int]:
        return cast("tuple[int, int, int]", self.image_shape[1:])
