"""What operators that are diagonal share."""

import torch
from torch import Tensor

__all__ = ["reciprocal_or_zero"]


def reciprocal_or_zero(diagonal: Tensor) -> Tensor:
    """Return the pseudo-inverse of each entry: 1 / d, or 0 for 0, whose derivatives are finite everywhere."""
    is_zero = diagonal == 0
    return torch.where(is_zero, 0, 1 / torch.where(is_zero, 1, diagonal))
