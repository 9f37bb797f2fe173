"""No noise: the measurements are the clean ones."""

from __future__ import annotations

from typing import ClassVar, final

import torch
from torch import Tensor

from wellposed.core.complex_view import real_dtype
from wellposed.core.shapes import Field
from wellposed.noise.base import ElementwiseNoise

__all__ = ["NoNoise"]


@final
class NoNoise(ElementwiseNoise):
    r"""Leave the measurements as they are.

    .. math:: y = \bar y

    Examples
    --------
    >>> import torch
    >>> NoNoise()(torch.tensor([[0.25, 0.5]]))
    tensor([[0.2500, 0.5000]])
    """

    field: ClassVar[Field] = "any"

    def _sample(self, clean: Tensor, _generator: torch.Generator | None) -> Tensor:
        return clean

    def _mean(self, clean: Tensor) -> Tensor:
        return clean

    def _variance(self, clean: Tensor) -> Tensor:
        return torch.zeros_like(clean, dtype=real_dtype(clean.dtype))

    def _variance_gain(self, _like: Tensor) -> float:
        return 1.0
