"""The sections `loss` and `training` of a recipe: what is minimised, and the numbers of the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, get_args, get_type_hints

from wellposed.losses import L1, L2, SSIM, Loss, Ramp, Sum
from wellposed.training.options import Options
from wellposed.training.recipe_reader import Entry

__all__ = ["LOSSES", "OF_THE_MACHINE", "build_loss", "read_loss", "read_training"]

LOSSES: dict[str, type[Loss]] = {"L1": L1, "L2": L2, "SSIM": SSIM}
"""The losses that recipes name."""

OF_THE_MACHINE = ("device", "light")
"""Options that are no part of a recipe."""


def read_loss(entry: Entry) -> dict[str, float | dict[str, float]]:
    """Read the section `loss`: a name, or weights by name, each a number or the arguments of a `Ramp`."""
    if isinstance(entry.value, str):
        return {entry.choice("loss", LOSSES): 1.0}
    entry.section(*LOSSES)
    return {name: _weight(child) for name, child in entry.children().items()}


def _weight(entry: Entry) -> float | dict[str, float]:
    if not isinstance(entry.value, Mapping):
        return entry.number(least=0)
    entry.section(*(field.name for field in fields(Ramp)))
    ramp = {
        "first": entry.child("first").number(least=0),
        "last": entry.child("last").number(least=0),
        "begin": entry.child("begin", 0.0).number(least=0, most=1),
        "end": entry.child("end", 1.0).number(least=0, most=1),
    }
    with entry.blamed():
        Ramp(**ramp)
    return ramp


def build_loss(weights: Mapping[str, float | Mapping[str, float]]) -> Loss:
    """Return the weighted sum of the losses of a recipe."""
    first, *rest = (
        LOSSES[name]() * (Ramp(**weight) if isinstance(weight, Mapping) else weight) for name, weight in weights.items()
    )
    return Sum((first, *rest)) if rest else first


def read_training(entry: Entry) -> Options:
    """Read the section `training`: the `Options` by name, but for those that belong to a machine."""
    known = [field.name for field in fields(Options) if field.name not in OF_THE_MACHINE]
    entry.section(*known)
    entry.child("steps")
    hints = get_type_hints(Options)
    values = {key: _option(child, hints[key]) for key, child in entry.children().items()}
    with entry.blamed():
        return Options(**values)


def _option(entry: Entry, hint: Any) -> Any:
    """Return a value of the type that an option has."""
    kinds = get_args(hint)
    if type(None) in kinds:
        return None if entry.value is None else _option(entry, kinds[0])
    if hint is bool:
        return entry.flag()
    if hint is int:
        return entry.whole(least=0)
    if hint is float:
        return entry.number()
    if all(isinstance(kind, str) for kind in kinds):
        return entry.choice(entry.path.rpartition(".")[2], kinds)
    return tuple(child.number() for child in entry.entries())
