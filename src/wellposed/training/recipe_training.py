"""The section `training` of a recipe: the numbers of the run."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, get_args, get_type_hints

from wellposed.training.options import Options
from wellposed.training.recipe_reader import Entry

__all__ = ["OF_THE_MACHINE", "read_training"]

OF_THE_MACHINE = ("device", "light")
"""Options that are no part of a recipe."""


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
