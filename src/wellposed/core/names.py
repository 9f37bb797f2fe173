"""Strict names: what is not known raises, with the nearest known name."""

import difflib
import importlib
from collections.abc import Iterable
from types import ModuleType

from wellposed.core.errors import KeywordError, MissingDependencyError, UnknownNameError

__all__ = ["check_keywords", "check_name", "optional_import"]


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(str(name), list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else "."


def check_name(kind: str, name: str, known: Iterable[str], *, hint: str = "") -> str:
    """Return `name` if it is among `known`.

    Raises
    ------
    UnknownNameError
        Otherwise, with the nearest known name, and `hint` or the list of all of them.
    """
    known = list(known)
    if name in known:
        return name
    raise UnknownNameError(
        f"unknown {kind} {name!r}{_did_you_mean(name, known)} {hint or 'Known: ' + ', '.join(known) + '.'}"
    )


def check_keywords(owner: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raise `KeywordError` if one of the keywords `given` is not among `known`."""
    known = list(known)
    for name in given:
        if name not in known:
            listed = "It takes " + ", ".join(known) + "." if known else "It takes none."
            raise KeywordError(f"{owner} has no parameter {name!r}{_did_you_mean(name, known)} {listed}")


def optional_import(module: str, *, extra: str) -> ModuleType:
    """Import an optional package, or say which extra of wellposed brings it.

    Raises
    ------
    MissingDependencyError
        If the package is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise MissingDependencyError(
            f"{package} is not installed: pip install 'wellposed[{extra}]' brings it."
        ) from error
