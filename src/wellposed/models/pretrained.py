"""Networks that start from weights by name or path: the constructor's argument `weights`."""

from __future__ import annotations

from pathlib import Path

from torch import nn

__all__ = ["start_from"]


def start_from(model: nn.Module, weights: str | Path | None) -> None:
    """Give a model that is being built the weights of a name or a file; none: leave its random ones.

    Raises
    ------
    WellposedError
        As `weights.fill` does.
    """
    if weights is not None:
        from wellposed.models.weights import fill  # the registry there knows all models, and so this one

        fill(model, weights)
