"""Losses that compare with the truth."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from wellposed.core.errors import ArgumentError
from wellposed.core.tree import Tree
from wellposed.losses.base import Loss, Reconstructor
from wellposed.metrics import mae, mse, ssim
from wellposed.physics import Physics

__all__ = ["L1", "L2", "SSIM"]


@dataclass(frozen=True)
class _Supervised(Loss):
    def __call__(
        self,
        *,
        x_hat: Tensor,
        y: Tree,  # noqa: ARG002
        physics: Physics,  # noqa: ARG002
        model: Reconstructor,  # noqa: ARG002
        x: Tensor | None = None,
        generator: torch.Generator | None = None,  # noqa: ARG002
    ) -> Tensor:
        """Return the loss of each image, shape (B,)."""
        if x is None:
            raise ArgumentError(
                f"{type(self).__name__} compares with the true image, and there is none: "
                "give pairs with x, or use a self-supervised loss."
            )
        return self._compare(x_hat, x)

    @abstractmethod
    def _compare(self, x_hat: Tensor, x: Tensor) -> Tensor: ...


@final
@dataclass(frozen=True)
class L1(_Supervised):
    r"""Mean absolute error, :math:`\ell = \tfrac1N \|\hat x - x\|_1`; of complex images the modulus counts.

    Raises
    ------
    ArgumentError
        On a call, if there is no truth.
    ShapeError, DTypeError
        If the two images differ in shape or kind.

    Examples
    --------
    >>> import torch, wellposed as wp
    >>> x = torch.zeros(1, 1, 2, 2)
    >>> L1()(x_hat=x + 0.5, y=x, physics=wp.Physics(wp.operators.Identity()), model=None, x=x)
    tensor([0.5000])
    """

    def _compare(self, x_hat: Tensor, x: Tensor) -> Tensor:
        return mae(x_hat, x)


@final
@dataclass(frozen=True)
class L2(_Supervised):
    r"""Mean squared error, :math:`\ell = \tfrac1N \|\hat x - x\|_2^2`; of complex images the modulus counts.

    Errors are those of `L1`.

    Examples
    --------
    >>> import torch, wellposed as wp
    >>> x = torch.zeros(1, 1, 2, 2)
    >>> L2()(x_hat=x + 0.5, y=x, physics=wp.Physics(wp.operators.Identity()), model=None, x=x)
    tensor([0.2500])
    """

    def _compare(self, x_hat: Tensor, x: Tensor) -> Tensor:
        return mse(x_hat, x)


@final
@dataclass(frozen=True)
class SSIM(_Supervised):
    r"""Lack of structural similarity, :math:`\ell = 1 - \mathrm{SSIM}(\hat x, x)`, between 0 and 2.

    Parameters
    ----------
    data_range : float
        The largest possible value minus the smallest.

    Raises
    ------
    ShapeError
        On a call, if an axis is shorter than 11 pixels; other errors are those of `L1`.

    References
    ----------
    Zhao, Gallo, Frosio, Kautz, *Loss functions for image restoration with neural networks*, IEEE Trans. Computational
    Imaging 3 (2017), doi:10.1109/TCI.2016.2644865.

    Examples
    --------
    >>> import torch, wellposed as wp
    >>> x = torch.rand(1, 1, 16, 16)
    >>> SSIM()(x_hat=x, y=x, physics=wp.Physics(wp.operators.Identity()), model=None, x=x)
    tensor([0.])
    """

    data_range: float = 1.0

    def _compare(self, x_hat: Tensor, x: Tensor) -> Tensor:
        return 1 - ssim(x_hat, x, data_range=self.data_range)
