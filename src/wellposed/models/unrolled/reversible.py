"""Steps with momentum, which can be run backwards: training keeps two states, however many steps there are."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint, set_checkpoint_early_stop

from wellposed.core.tree import Tree, tree_leaves, tree_map

__all__ = ["repeat_with_momentum"]

Advance = Callable[[Tree, int], Tree]


def repeat_with_momentum(
    advance: Advance, start: Tree, n_iter: int, momentum: Callable[[], Tensor], *, memory: str
) -> Tree:
    r"""Return the variables after some steps with momentum.

    .. math:: z_{k+1} = T_k(z_k) + \beta\,(z_k - z_{k-1}), \qquad z_{-1} = z_0

    The last two of them determine those before,

    .. math:: z_{k-1} = z_k - (z_{k+1} - T_k(z_k)) / \beta .

    A backward pass that goes this way needs no memory for the steps, and no more arithmetic than checkpoints do. Going
    back multiplies rounding errors by 1 / beta a step; z is therefore carried in double precision, while T computes in
    its own, so that T sees the very numbers again that it saw before.

    Parameters
    ----------
    advance : callable
        The map ``T_k(z) = advance(z, k)``.
    start : Tree
        The first variables.
    n_iter : int
    momentum : callable
        Returns the factor beta, shape (1,), between 0 and 1.
    memory : {"store", "checkpoint", "invert"}
        What is kept for the backward pass.
    """
    types = [leaf.dtype for leaf in tree_leaves(start)]
    now = tree_map(_widened, start)
    film = _Film(advance, momentum, types, now)
    pair = (now, now)
    for index in range(n_iter):
        if memory == "invert" and torch.is_grad_enabled():
            film.live[index] = pair
            film.flags.append([leaf.requires_grad for part in pair for leaf in tree_leaves(part)])
            with set_checkpoint_early_stop(False):
                after = checkpoint(film.frame, index, use_reentrant=False)
            film.record(after, pair[0], index + 1)
        elif memory == "checkpoint" and torch.is_grad_enabled():
            after = checkpoint(film.moved, *pair, index, use_reentrant=False)
        else:
            after = film.moved(*pair, index)
        pair = (after, pair[0])
    return _cast(pair[0], types)


class _Film:
    """The two last states, which can be wound back; `live` holds those of the step that is being taken."""

    def __init__(self, advance: Advance, momentum: Callable[[], Tensor], types: list[torch.dtype], start: Tree) -> None:
        self.advance, self.momentum, self.types = advance, momentum, types
        self.live: dict[int, tuple[Tree, Tree]] = {}
        self.flags: list[list[bool]] = []
        self.record(start, start, 0)

    def record(self, now: Tree, before: Tree, index: int) -> None:
        """Remember two states without their graph."""
        self.now, self.before, self.index = _detached(now), _detached(before), index

    def moved(self, now: Tree, before: Tree, index: int) -> Tree:
        """Take one step."""
        return self._joined(self._mapped(now, index), now, before)

    def frame(self, index: int) -> Tree:
        """Take one step from the live states, or where they are gone, from states that are wound back to."""
        pair = self.live.pop(index, None)
        if pair is not None:
            return self.moved(*pair, index)
        flags = iter(self.flags[index])
        self._seek(index + 1)
        now = tree_map(lambda leaf: leaf.detach().requires_grad_(next(flags)), self.before)
        ahead = self._mapped(now, index)
        before = tree_map(lambda leaf: leaf.requires_grad_(next(flags)), self._earlier(ahead))
        self.record(now, before, index)
        return self._joined(ahead, now, before)

    @torch.no_grad()
    def _seek(self, index: int) -> None:
        """Wind on or back."""
        while self.index < index:
            self.record(self.moved(self.now, self.before, self.index), self.now, self.index + 1)
        while self.index > index:
            ahead = self._mapped(self.before, self.index - 1)
            self.record(self.before, self._earlier(ahead), self.index - 1)

    @torch.no_grad()
    def _earlier(self, ahead: Tree) -> Tree:
        """Return the state before `before`, given what T makes of `before`."""
        share = self.momentum()

        def undone(now: Tensor, before: Tensor, image: Tensor) -> Tensor:
            return before - (now - image) / share.to(now.real.dtype)

        return tree_map(undone, self.now, self.before, _detached(ahead))

    def _mapped(self, z: Tree, index: int) -> Tree:
        return tree_map(_widened, self.advance(_cast(z, self.types), index))

    def _joined(self, ahead: Tree, now: Tree, before: Tree) -> Tree:
        share = self.momentum()
        return tree_map(lambda a, b, c: a + share.to(a.real.dtype) * (b - c), ahead, now, before)


def _widened(leaf: Tensor) -> Tensor:
    """Return a tensor in double precision, where the device has it."""
    if leaf.device.type == "mps":
        return leaf
    return leaf.to(torch.complex128 if leaf.is_complex() else torch.float64)


def _cast(tree: Tree, types: list[torch.dtype]) -> Tree:
    rest = iter(types)
    return tree_map(lambda leaf: leaf.to(next(rest)), tree)


def _detached(tree: Tree) -> Tree:
    return tree_map(torch.Tensor.detach, tree)
