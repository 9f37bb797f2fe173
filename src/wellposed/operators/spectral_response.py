"""Cameras whose channels mix the colours of the scene: a matrix at each pixel."""

from __future__ import annotations

import torch
from torch import Tensor

from wellposed.core.errors import ShapeError
from wellposed.core.shapes import Shape, as_shape, check_tensor
from wellposed.operators.base import LinearOperator

__all__ = ["SpectralResponse"]


class SpectralResponse(LinearOperator):
    r"""Mix the channels of each pixel by a matrix.

    .. math:: y_{i p} = \sum_c R_{i c}\, x_{c p}

    for the channels c of the image, the channels i of the camera and all pixels p. A row of equal numbers makes a grey
    image, the panchromatic half of pan-sharpening. All that follows from the operator is that of the small matrix.

    Parameters
    ----------
    response : Tensor, shape (B or 1, m, C)
        R, real. Differentiable.
    image_shape : tuple of int, optional
        (C, H, W) or (C, D, H, W), without the batch axis; by default (C, any, any).

    Raises
    ------
    DTypeError
        If the response is not a tensor.
    ShapeError
        If the response is no matrix, or has not one column for each channel of the image.

    References
    ----------
    Vivone et al., *A critical comparison among pansharpening algorithms*, IEEE Trans. Geoscience and Remote Sensing 53
    (2015), doi:10.1109/TGRS.2014.2361734.

    Examples
    --------
    >>> flat = SpectralResponse(torch.full((1, 1, 3), 1 / 3))
    >>> flat(torch.tensor([0.0, 0.25, 0.5]).view(1, 3, 1, 1)).item()
    0.25
    """

    response: Tensor

    def __init__(self, response: Tensor, image_shape: Shape | None = None) -> None:
        check_tensor("SpectralResponse", "response", response)
        if response.ndim != 3 or response.is_complex():
            raise ShapeError(
                "SpectralResponse expects real matrices of shape (B or 1, m, C), "
                f"got {response.dtype} of shape {tuple(response.shape)}."
            )
        channels = response.shape[2]
        if image_shape is None:
            image_shape = (channels, None, None)
        image_shape = as_shape("SpectralResponse", "image", image_shape)
        if len(image_shape) < 2 or image_shape[0] != channels:
            raise ShapeError(
                f"SpectralResponse has a response for {channels} channels, and images of shape {image_shape}: give the "
                "matrix one column for each channel."
            )
        super().__init__(image_shape, (response.shape[1], *image_shape[1:]))
        self.register_parameter_tensor("response", response)

    def _forward(self, x: Tensor) -> Tensor:
        return _mix(self.response, x)

    def _adjoint(self, y: Tensor) -> Tensor:
        return _mix(self.response.mT, y)

    def _gram(self, x: Tensor) -> Tensor:
        return _mix(self.response.mT @ self.response, x)

    def _norm(self) -> Tensor:
        return torch.linalg.matrix_norm(self.response, ord=2)

    def _pinv(self, y: Tensor) -> Tensor:
        return _mix(torch.linalg.pinv(self.response), y)

    def _prox(self, z: Tensor, y: Tensor, gamma: Tensor) -> Tensor:
        """Solve a small system per image: (I + gamma R^T R) x = z + gamma R^T y."""
        weight = gamma.reshape(-1, 1, 1)
        unit = torch.eye(self.response.shape[2], dtype=self.response.dtype, device=self.response.device)
        inverse = torch.linalg.inv(unit + weight * (self.response.mT @ self.response))
        return _mix(inverse, z + gamma * self._adjoint(y))


def _mix(matrix: Tensor, x: Tensor) -> Tensor:
    """Multiply each pixel of images (B, C, ...) by a matrix (B or 1, m, C)."""
    return (matrix.to(x.dtype) @ x.flatten(2)).unflatten(2, x.shape[2:])
