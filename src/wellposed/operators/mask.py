"""Inpainting: some pixels are missing, or each is weighted."""

from torch import Tensor

from wellposed.core.errors import ShapeError
from wellposed.core.shapes import Shape, check_tensor
from wellposed.operators._diagonal import reciprocal_or_zero
from wellposed.operators.base import LinearOperator

__all__ = ["Mask"]


class Mask(LinearOperator):
    r"""Multiply each pixel by a real number; zeros mark what was not measured.

    .. math:: y = m \odot x

    Measurements keep the shape of the image. The operator is diagonal: its pseudo-inverse divides by the mask where it
    is not zero, and its proximal operator is a weighted mean of each pixel.

    Parameters
    ----------
    mask : Tensor, shape (B or 1, C or 1, H, W) or (B or 1, C or 1, D, H, W)
        Real, of any sign; boolean masks become floating-point. Differentiable.
    image_shape : tuple of int, optional
        Without the batch axis; by default that of the mask, with any number of channels if the mask has one.

    Raises
    ------
    DTypeError
        If the mask is not a tensor.
    ShapeError
        If the mask does not broadcast to the image.

    Examples
    --------
    >>> import torch
    >>> A = Mask(torch.tensor([[[[1, 0], [1, 1]]]]))
    >>> A(torch.ones(1, 3, 2, 2)).sum().item()
    9.0
    """

    tags = frozenset({"self_adjoint"})
    mask: Tensor

    def __init__(self, mask: Tensor, image_shape: Shape | None = None) -> None:
        check_tensor("Mask", "mask", mask)
        if mask.ndim not in (4, 5) or mask.is_complex():
            raise ShapeError(
                f"Mask expects a real mask of shape (B or 1, C or 1, H, W) or (B or 1, C or 1, D, H, W), "
                f"got {mask.dtype} of shape {tuple(mask.shape)}."
            )
        if image_shape is None:
            image_shape = (mask.shape[1] if mask.shape[1] > 1 else None, *mask.shape[2:])
        if mask.shape[2:] != tuple(image_shape[1:]) or mask.shape[1] not in (1, image_shape[0]):
            raise ShapeError(f"Mask has a mask of shape {tuple(mask.shape)} for images of shape {image_shape}.")
        super().__init__(image_shape, image_shape)
        self.register_parameter_tensor("mask", mask)

    def _forward(self, x: Tensor) -> Tensor:
        return self.mask * x

    def _adjoint(self, y: Tensor) -> Tensor:
        return self.mask * y

    def _gram(self, x: Tensor) -> Tensor:
        return self.mask.square() * x

    def _norm(self) -> Tensor:
        return self.mask.abs().flatten(1).amax(1)

    def _pinv(self, y: Tensor) -> Tensor:
        return reciprocal_or_zero(self.mask) * y

    def _prox(self, z: Tensor, y: Tensor, gamma: Tensor) -> Tensor:
        return (z + gamma * self.mask * y) / (1 + gamma * self.mask.square())
