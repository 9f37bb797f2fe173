"""Rays from a point to a flat detector, in a plane."""

from __future__ import annotations

import math
from typing import cast

from torch import Tensor

from wellposed.operators.tomography._checks import check_positive, check_source, checked_image_shape
from wellposed.operators.tomography.beam import Beam

__all__ = ["FanBeam2D"]


class FanBeam2D(Beam):
    r"""Integrate images along rays that spread from a source, which turns about the image with a flat detector.

    .. math:: y_{a,d} = \int x\big(s_a + t\, \tfrac{q_{a,d} - s_a}{|q_{a,d} - s_a|}\big)\, dt, \quad
              s_a = -R\, n_a, \quad q_{a,d} = L\, n_a + u_d\, e_a

    with :math:`e_a = (\cos\theta_a, \sin\theta_a)`, :math:`n_a = (-\sin\theta_a, \cos\theta_a)` and :math:`u_d` as for
    parallel rays: a source far away, and a detector in the centre, are `ParallelBeam2D`. At angle zero the source is
    below the image. Axes, interpolation and code are those of `ParallelBeam2D`.

    Parameters
    ----------
    angles : Tensor, shape (A,) or (B or 1, A)
        :math:`\theta`, in radians; a full turn is 2 pi. Differentiable.
    image_shape : tuple of int, (C, H, W)
    source_distance : float
        :math:`R`, from the source to the centre of rotation, in the unit of `pixel_size`.
    detector_distance : float
        :math:`L`, from the centre of rotation to the detector.
    n_detectors : int, optional
        By default as many as the shadow of the image's circumscribed circle needs.
    detector_pitch : float
        From one detector element to the next, on the detector.
    detector_offset : Tensor or float, shape (), (B,) or (B or 1, A)
        How far the middle of the detector lies along its axis from the ray through the centre. Differentiable.
    pixel_size : float
        Side of a pixel, in any unit of length.

    Raises
    ------
    ArgumentError
        If the source is inside the image's circumscribed circle, an angle is not finite, or a size not above zero.
    ShapeError
        If the image shape or that of a parameter is not one of these.

    Warns
    -----
    UserWarning
        As `ParallelBeam2D` does.

    References
    ----------
    Kak and Slaney, *Principles of Computerized Tomographic Imaging*, SIAM 2001, chapter 3.

    Examples
    --------
    >>> import torch
    >>> from wellposed.data import uniform_angles
    >>> A = FanBeam2D(uniform_angles(90, span=2 * torch.pi), (1, 32, 32), source_distance=60.0, detector_distance=40.0)
    >>> A(torch.ones(1, 1, 32, 32)).shape
    torch.Size([1, 1, 90, 82])
    """

    def __init__(
        self,
        angles: Tensor,
        image_shape: tuple[int, int, int],
        source_distance: float,
        detector_distance: float,
        n_detectors: int | None = None,
        detector_pitch: float = 1.0,
        detector_offset: Tensor | float = 0.0,
        pixel_size: float = 1.0,
    ) -> None:
        image_shape = cast("tuple[int, int, int]", checked_image_shape("FanBeam2D", image_shape, "C, H, W"))
        check_positive("FanBeam2D", detector_pitch=detector_pitch, pixel_size=pixel_size)
        check_source("FanBeam2D", source_distance, detector_distance, image_shape[-2:], pixel_size)
        self.source_distance, self.detector_distance = source_distance, detector_distance
        super().__init__(angles, image_shape, (), n_detectors, detector_pitch, detector_offset, pixel_size)

    @property
    def _divergence(self) -> float:
        return 1 / self.source_distance

    @property
    def _magnification(self) -> float:
        return (self.source_distance + self.detector_distance) / self.source_distance

    def _shadow_of_disk(self, radius: float) -> float:
        length = self.source_distance + self.detector_distance
        return 2 * length * radius / math.sqrt(self.source_distance**2 - radius**2)

    def _forward(self, x: Tensor) -> Tensor:
        return self._project(x)

    def _adjoint(self, y: Tensor) -> Tensor:
        return self._backproject(y)
