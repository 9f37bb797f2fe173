"""Physics keeps its precision, also where `torch.autocast` lowers that of networks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import wraps
from typing import ParamSpec, TypeVar

import torch

__all__ = ["in_own_precision"]

_P = ParamSpec("_P")
_R = TypeVar("_R")

_DEVICES = ("cpu", "cuda", "mps", "xpu")


def in_own_precision(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Make a function compute as if there were no autocast.

    Examples
    --------
    >>> @in_own_precision
    ... def product(a, b):
    ...     return a @ b
    >>> with torch.autocast("cpu", dtype=torch.bfloat16):
    ...     product(torch.ones(2, 2), torch.ones(2, 2)).dtype
    torch.float32
    """

    @wraps(function)
    def alone(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        lowered = [device for device in _DEVICES if torch.is_autocast_enabled(device)]
        if not lowered:
            return function(*args, **kwargs)
        with ExitStack() as stack:
            for device in lowered:
                stack.enter_context(torch.autocast(device, enabled=False))
            return function(*args, **kwargs)

    return alone
