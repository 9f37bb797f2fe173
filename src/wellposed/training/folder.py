"""The folder of a training run: held by one run at a time, and made by one recipe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from wellposed.core.errors import FormatError, TrainingError

__all__ = ["check_recipe", "held"]

_TEMPORARY = ".[0-9a-f]" + 31 * "[0-9a-f]" + ".*"


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the folder of a run, which is made where it is missing; the hold ends with the process, however it ends.

    Raises
    ------
    TrainingError
        If another run holds it.
    FormatError
        If a file is there.
    """
    if folder.exists() and not folder.is_dir():
        raise FormatError(f"a training run needs a folder, and {folder} is a file: name another.")
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise TrainingError(
            f"another run is at work in {folder}: stop it, wait for its end, or name another folder."
        ) from None
    try:
        _sweep(folder)
        yield
    finally:
        lock.release()


def check_recipe(folder: Path, made_with: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Raise `TrainingError`, naming the first differences, unless a run was made with the recipe that is given."""
    before, now = dict(_flat(made_with)), dict(_flat(given))
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    if names:
        listed = "; ".join(f"{name} was {before.get(name)!r} and is {now.get(name)!r}" for name in names[:3])
        raise TrainingError(
            f"the run in {folder} was made with another recipe: {listed}. Give that recipe, or name another folder."
        )


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, entry in value.items():
            yield from _flat(entry, f"{path}.{name}" if path else str(name))
    elif isinstance(value, (list, tuple)):
        for index, entry in enumerate(value):
            yield from _flat(entry, f"{path}[{index}]")
    else:
        yield path, value


def _sweep(folder: Path) -> None:
    """Remove what a killed run had begun to write."""
    for path in folder.glob(_TEMPORARY):
        path.unlink()
