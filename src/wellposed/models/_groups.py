"""Finite groups that act on images exactly: quarter turns, mirrors, cyclic shifts."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor


class Turn(NamedTuple):
    """Mirror left to right if asked, then turn by quarter turns."""

    turns: int
    mirrored: bool

    def act(self, x: Tensor) -> Tensor:
        return (x.flip(-1) if self.mirrored else x).rot90(self.turns, dims=(-2, -1))

    def undo(self, x: Tensor) -> Tensor:
        turned = x.rot90(-self.turns, dims=(-2, -1))
        return turned.flip(-1) if self.mirrored else turned


class Shift(NamedTuple):
    """Shift cyclically; an axis of length one, as noise levels have, stays as it is."""

    rows: int
    columns: int

    def act(self, x: Tensor) -> Tensor:
        return x.roll((self.rows, self.columns), dims=(-2, -1))

    def undo(self, x: Tensor) -> Tensor:
        return x.roll((-self.rows, -self.columns), dims=(-2, -1))


class Group(NamedTuple):
    """How many elements there are, and the one of a given number."""

    size: int
    element: Callable[[int], Turn | Shift]


def _turns(quarters: tuple[int, ...], *, mirrors: tuple[bool, ...] = (False, True)) -> Callable[[int, int], Group]:
    elements = [Turn(turns, mirrored) for mirrored in mirrors for turns in quarters]
    return lambda _height, _width: Group(len(elements), elements.__getitem__)


def _shifts(height: int, width: int) -> Group:
    return Group(height * width, lambda index: Shift(*divmod(index, width)))


GROUPS: dict[str, Callable[[int, int], Group]] = {
    "dihedral": _turns((0, 1, 2, 3)),
    "rotations": _turns((0, 1, 2, 3), mirrors=(False,)),
    "flips": _turns((0, 2)),
    "shifts": _shifts,
}
"""Each group by name, for images of a height and a width."""
