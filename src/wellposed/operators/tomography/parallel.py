"""Parallel rays in a plane: the Radon transform."""

from __future__ import annotations

from typing import cast

from torch import Tensor

from wellposed.operators.tomography._checks import check_positive, checked_image_shape
from wellposed.operators.tomography.beam import Beam

__all__ = ["ParallelBeam2D"]


class ParallelBeam2D(Beam):
    r"""Integrate images along parallel rays, from all sides.

    .. math:: y_{a,d} = \int x\big(u_d (\cos\theta_a, \sin\theta_a) + t\, (-\sin\theta_a, \cos\theta_a)\big)\, dt,
              \qquad u_d = \big(d - \tfrac{D - 1}{2}\big)\, p + o

    The first axis of a point is to the right, the second upwards, from the centre of the image, which is the centre of
    rotation; at angle zero the rays run upwards and the sinogram is the sum of the rows. The integral is the sum over
    the rows, or columns, that a ray crosses, of the two pixels next to the crossing, linearly interpolated (Joseph).

    On a CPU compiled code does it where numba is installed (`wellposed[ct]`), else plain torch, as on any other device;
    both give the same to rounding, and `adjoint` is the exact transpose of either.

    Parameters
    ----------
    angles : Tensor, shape (A,) or (B or 1, A)
        :math:`\theta`, in radians, any values in any order. Differentiable.
    image_shape : tuple of int, (C, H, W)
    n_detectors : int, optional
        :math:`D`; by default as many as the diagonal of the image needs.
    detector_pitch : float
        :math:`p`, from one detector element to the next, in the unit of `pixel_size`.
    detector_offset : Tensor or float, shape (), (B,) or (B or 1, A)
        :math:`o`, how far the middle of the detector lies along its axis from where the centre of rotation is
        projected, in the unit of `pixel_size`; one number, one per image or one per view. Differentiable.
    pixel_size : float
        Side of a pixel, in any unit of length; measurements are in that unit times that of the image.

    Raises
    ------
    ShapeError
        If the image shape or that of a parameter is not one of these.
    ArgumentError
        If an angle is not finite, or a size is not above zero.

    Warns
    -----
    UserWarning
        If an angle is beyond 4 pi, and so in degrees perhaps; if the detector is smaller than the image's shadow.

    References
    ----------
    Joseph, *An improved algorithm for reprojecting rays through pixel images*, IEEE Trans. Med. Imaging 1 (1982).

    Examples
    --------
    >>> import torch
    >>> from wellposed.data import uniform_angles
    >>> A = ParallelBeam2D(uniform_angles(60), image_shape=(1, 32, 32))
    >>> y = A(torch.ones(1, 1, 32, 32))
    >>> y.shape
    torch.Size([1, 1, 60, 46])
    >>> y[0, 0, 0, 22].item()
    32.0
    """

    def __init__(
        self,
        angles: Tensor,
        image_shape: tuple[int, int, int],
        n_detectors: int | None = None,
        detector_pitch: float = 1.0,
        detector_offset: Tensor | float = 0.0,
        pixel_size: float = 1.0,
    ) -> None:
        image_shape = cast("tuple[int, int, int]", checked_image_shape("ParallelBeam2D", image_shape, "C, H, W"))
        check_positive("ParallelBeam2D", detector_pitch=detector_pitch, pixel_size=pixel_size)
        super().__init__(angles, image_shape, (), n_detectors, detector_pitch, detector_offset, pixel_size)

    def _shadow_of_disk(self, radius: float) -> float:
        return 2 * radius

    def _forward(self, x: Tensor) -> Tensor:
        return self._project(x)

    def _adjoint(self, y: Tensor) -> Tensor:
        return self._backproject(y)
