"""Parallel rays through a volume, across its axis."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from wellposed.operators.tomography._checks import check_positive, checked_image_shape
from wellposed.operators.tomography._depth import along_depth, checked_rows, heights, resampling
from wellposed.operators.tomography.beam import Beam

__all__ = ["ParallelBeam3D"]


class ParallelBeam3D(Beam):
    r"""Integrate volumes along parallel rays across the axis of rotation, as a synchrotron does.

    Every slice is seen as `ParallelBeam2D` sees an image, and the rows of the detector interpolate linearly between
    the slices: where they are as high and as far apart, row r is slice r.

    Parameters
    ----------
    angles : Tensor, shape (A,) or (B or 1, A)
        In radians. Differentiable.
    image_shape : tuple of int, (C, D, H, W)
        The axis of rotation runs along the depth.
    n_detectors, n_rows : int, optional
        Columns and rows of the detector; by default as many as the shadow of the volume needs.
    detector_pitch, row_pitch : float
        From one column, and one row, to the next, in the unit of `pixel_size`.
    detector_offset : Tensor or float, shape (), (B,) or (B or 1, A)
        As for `ParallelBeam2D`. Differentiable.
    row_offset : float
        How high the middle of the detector lies above that of the volume, towards later slices.
    pixel_size : float
        Side of a pixel of a slice, in any unit of length.
    slice_spacing : float, optional
        From one slice to the next; by default `pixel_size`.

    Raises
    ------
    ShapeError, ArgumentError
        As `ParallelBeam2D`.

    Warns
    -----
    UserWarning
        As `ParallelBeam2D`.

    Examples
    --------
    >>> import torch
    >>> from wellposed.data import uniform_angles
    >>> A = ParallelBeam3D(uniform_angles(30), image_shape=(1, 8, 16, 16))
    >>> A(torch.ones(1, 1, 8, 16, 16)).shape
    torch.Size([1, 1, 30, 8, 23])
    """

    def __init__(
        self,
        angles: Tensor,
        image_shape: tuple[int, int, int, int],
        n_detectors: int | None = None,
        n_rows: int | None = None,
        detector_pitch: float = 1.0,
        row_pitch: float = 1.0,
        detector_offset: Tensor | float = 0.0,
        row_offset: float = 0.0,
        pixel_size: float = 1.0,
        slice_spacing: float | None = None,
    ) -> None:
        name = "ParallelBeam3D"
        shape = checked_image_shape(name, image_shape, "C, D, H, W")
        check_positive(name, detector_pitch=detector_pitch, pixel_size=pixel_size)
        spacing, rows = checked_rows(name, shape[1], slice_spacing, pixel_size, n_rows, row_pitch, row_offset, 1.0)
        super().__init__(angles, shape, (rows,), n_detectors, detector_pitch, detector_offset, pixel_size)
        self.n_rows, self.row_pitch, self.row_offset, self.slice_spacing = rows, row_pitch, row_offset, spacing

    def rays(self) -> tuple[Tensor, Tensor]:
        """Return a point of each ray and its direction, (x, y, z): shape (B or 1, A, n_rows, n_detectors, 3)."""
        points, directions = (part[:, :, None].expand(-1, -1, self.n_rows, -1, -1) for part in super().rays())
        z = heights(self.n_rows, self.row_pitch, self.row_offset, points)[:, None, None].expand(*points.shape[:-1], 1)
        return torch.cat([points, z], dim=-1), torch.cat([directions, torch.zeros_like(z)], dim=-1)

    def _forward(self, x: Tensor) -> Tensor:
        y = self._project(x.flatten(1, 2)).unflatten(1, x.shape[1:3])
        if self._rows_are_slices:
            return y.transpose(2, 3)
        return along_depth(self._rows_of_slices(x), y.flatten(0, 1)).unflatten(0, x.shape[:2]).transpose(2, 3)

    def _adjoint(self, y: Tensor) -> Tensor:
        depth = cast("int", self.image_shape[1])
        slices = y.transpose(2, 3)
        if not self._rows_are_slices:
            slices = along_depth(self._rows_of_slices(y).mT, slices.flatten(0, 1)).unflatten(0, y.shape[:2])
        return self._backproject(slices.flatten(1, 2)).unflatten(1, (-1, depth))

    def _fbp(self, y: Tensor, window: str) -> Tensor:
        depth = cast("int", self.image_shape[1])
        z = heights(depth, self.slice_spacing, 0.0, y)
        row_of_slice = (z - self.row_offset) / self.row_pitch + (self.n_rows - 1) / 2
        slices_of_rows = resampling(self.n_rows, row_of_slice)
        slices = along_depth(slices_of_rows, y.transpose(2, 3).flatten(0, 1)).unflatten(0, y.shape[:2])
        return super()._fbp(slices.flatten(1, 2), window).unflatten(1, (-1, depth))

    @property
    def _rows_are_slices(self) -> bool:
        """Tell whether every row of the detector is as high as a slice, and nothing is to be interpolated."""
        return (self.n_rows, self.row_pitch, self.row_offset) == (self.image_shape[1], self.slice_spacing, 0.0)

    def _rows_of_slices(self, like: Tensor) -> Tensor:
        """Return the matrix that interpolates the rows of the detector between the slices."""
        depth = cast("int", self.image_shape[1])
        z = heights(self.n_rows, self.row_pitch, self.row_offset, like)
        return resampling(depth, z / self.slice_spacing + (depth - 1) / 2)

    def _shadow_of_disk(self, radius: float) -> float:
        return 2 * radius
