"""When an image has settled: the bookkeeping that the algorithms of this room share."""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from torch import Tensor

from wellposed.core.tree import norm, per_image, tree_map

__all__ = ["blank", "relative_change", "settle"]

StateT = TypeVar("StateT", bound=Any)


def blank(x: Tensor) -> dict[str, Tensor]:
    """Return the bookkeeping of a state that starts from images: `change`, `active` and `failure`, each (B,)."""
    change = torch.full((len(x),), torch.inf, dtype=x.real.dtype, device=x.device)
    return {
        "change": change,
        "active": torch.ones_like(change, dtype=torch.bool),
        "failure": torch.zeros_like(change, dtype=torch.int64),
    }


def settle(old: StateT, new: StateT, tolerance: float | None, *, watched: tuple[str, ...] = ("x",)) -> StateT:
    """Return the new state, in which images that rest are as they were, and those that hardly changed rest from now on.

    Parameters
    ----------
    old, new : state
        NamedTuples of tensors whose first axis is the batch, or tuples of such.
    tolerance : float or None
        The least relative change, in every watched field, of an image that goes on; None: all go on for ever.
    watched : tuple of str
    """
    active = old.active
    if not _surely_all(active):
        new = type(new)(*[_choose(active, after, before) for after, before in zip(new, old, strict=True)])
    if tolerance is None:
        return new._replace(active=active)
    changes = [relative_change(getattr(new, name), getattr(old, name)) for name in watched]
    change = torch.where(active, torch.stack(changes).amax(0), old.change)
    return new._replace(change=change, active=active & (change > tolerance))


def relative_change(new: Any, old: Any) -> Tensor:
    """Return ||new - old|| / ||new|| of each image, 0 where both are zero."""
    size, moved = norm(new), norm(tree_map(torch.sub, new, old))
    return moved / torch.where(size > 0, size, 1)


def _surely_all(active: Tensor) -> bool:
    """Tell whether every image goes on, without waiting for an accelerator."""
    return active.device.type == "cpu" and bool(active.all())


def _choose(mask: Tensor, new: Any, old: Any) -> Any:
    if isinstance(new, tuple):
        return tuple(_choose(mask, a, b) for a, b in zip(new, old, strict=True))
    if new is old or not isinstance(new, Tensor):
        return new
    return torch.where(per_image(mask, new), new, old)
