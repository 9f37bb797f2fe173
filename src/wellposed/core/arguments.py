"""Checks of single arguments, for what a type annotation promises and a caller may not keep."""

from typing import Any

import torch
from torch import Tensor

from wellposed.core.errors import ArgumentError

__all__ = ["check_callable", "check_counts", "check_finite", "check_whole"]


def check_whole(owner: str, name: str, value: Any, *, least: int) -> None:
    """Raise `ArgumentError` unless an argument is a whole number of at least `least`."""
    if not isinstance(value, int) or value < least:
        raise ArgumentError(f"{owner} expects {name} to be a whole number of at least {least}, got {value!r}.")


def check_counts(owner: str, **counts: Any) -> None:
    """Raise `ArgumentError` unless each argument is a whole number above zero."""
    for name, count in counts.items():
        check_whole(owner, name, count, least=1)


def check_finite(what: str, *values: Tensor) -> None:
    """Raise `ArgumentError` if there is a NaN or an infinity in some tensors."""
    if not all(bool(torch.isfinite(value).all()) for value in values):
        raise ArgumentError(
            f"{what} hold NaN or infinity: give those entries a value, and a mask that leaves them out."
        )


def check_callable(owner: str, name: str, value: Any) -> None:
    """Raise `ArgumentError` unless an argument can be called."""
    if not callable(value):
        raise ArgumentError(f"{owner} expects {name} to be a function, got {type(value).__name__}.")
