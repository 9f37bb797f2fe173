"""Checks of single arguments, for what a type annotation promises and a caller may not keep."""

from typing import Any

from wellposed.core.errors import ArgumentError

__all__ = ["check_callable", "check_whole"]


def check_whole(owner: str, name: str, value: Any, *, least: int) -> None:
    """Raise `ArgumentError` unless an argument is a whole number of at least `least`."""
    if not isinstance(value, int) or value < least:
        raise ArgumentError(f"{owner} expects {name} to be a whole number of at least {least}, got {value!r}.")


def check_callable(owner: str, name: str, value: Any) -> None:
    """Raise `ArgumentError` unless an argument can be called."""
    if not callable(value):
        raise ArgumentError(f"{owner} expects {name} to be a function, got {type(value).__name__}.")
