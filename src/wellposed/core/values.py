"""Checks of the values in a tensor, which on an accelerator make the host wait for the device."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

__all__ = ["are_trusted", "has_values", "trusted_values", "values_hold"]

_TRUSTED: ContextVar[bool] = ContextVar("trusted", default=False)


@contextmanager
def trusted_values() -> Iterator[None]:
    """Take the values of tensors on an accelerator as they are: looking at them would make the host wait for it.

    For code that has drawn those values itself, within their bounds. Tensors on the CPU are looked at all the same.
    """
    token = _TRUSTED.set(True)
    try:
        yield
    finally:
        _TRUSTED.reset(token)


def are_trusted(tensor: Tensor) -> bool:
    """Tell whether the values of a tensor need not be looked at: see `trusted_values`."""
    return _TRUSTED.get() and tensor.device.type != "cpu"


def values_hold(condition: Tensor) -> bool:
    """Tell whether a condition is true of all values of a tensor, or need not be looked at: see `trusted_values`."""
    return are_trusted(condition) or bool(condition.all())


def has_values(tensor: Tensor) -> bool:
    """Tell whether the numbers of a tensor can be looked at, and need to be.

    Not on the meta device, nor inside a `torch.func` map, nor where `trusted_values` says so.
    """
    is_abstract = tensor.device.type == "meta" or torch._C._functorch.is_functorch_wrapped_tensor(tensor)
    return not (is_abstract or are_trusted(tensor))
