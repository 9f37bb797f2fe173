"""Repeat a step, and decide what of it stays in memory for the backward pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias, TypeVar

import torch
from torch.utils.checkpoint import checkpoint

__all__ = ["MEMORIES", "Memory", "repeat"]

Memory: TypeAlias = Literal["store", "checkpoint", "invert"]
"""What training keeps: everything; the state between steps; or the last state, from which the others follow."""

MEMORIES: tuple[Memory, ...] = ("store", "checkpoint", "invert")

StateT = TypeVar("StateT")


def repeat(step: Callable[[Any, int], Any], state: StateT, n_iter: int, *, checkpointed: bool) -> StateT:
    """Return the state after some steps.

    Parameters
    ----------
    step : callable
        ``state = step(state, index)``
    state : state
    n_iter : int
    checkpointed : bool
        Keep only the states between steps; the backward pass computes each step again, which costs a forward pass.
    """
    for index in range(n_iter):
        if checkpointed and torch.is_grad_enabled():
            state = checkpoint(step, state, index, use_reentrant=False)
        else:
            state = step(state, index)
    return state
