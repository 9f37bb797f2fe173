"""All weights by name: those that come with the package, and those that others have published."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import fields
from importlib.resources import files
from pathlib import Path
from typing import Any

from wellposed.core.errors import FormatError
from wellposed.models.weights.entry import Weights
from wellposed.models.weights.published import PUBLISHED

__all__ = ["BUNDLED", "WEIGHTS", "bundled_entries"]

BUNDLED = Path(str(files("wellposed.models.weights.bundled")))
"""The folder of the weights that come with the package."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_TEXTS = ("model", "licence", "data", "recipe", "use", "limits")
_KEYS = {field.name for field in fields(Weights)} - {"name", "file", "urls"}


def bundled_entries(folder: Path) -> Iterator[Weights]:
    """Read the entries beside the weights of a folder: `NAME.json` describes `NAME.safetensors`.

    Raises
    ------
    FormatError
        If a description is no JSON, lacks something, or says something that no entry has.
    """
    for path in sorted(folder.glob("*.json")):
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise FormatError(f"{path} is not JSON ({error}).") from error
        _check(path, values)
        arguments = {name: _as_built(value) for name, value in values.pop("arguments").items()}
        yield Weights(name=path.stem, file=f"{path.stem}.safetensors", arguments=arguments, **values)


def _check(path: Path, values: Any) -> None:
    if not isinstance(values, dict) or not values.keys() <= _KEYS:
        raise FormatError(f"{path} describes no weights: expected an object with the keys {', '.join(sorted(_KEYS))}.")
    empty = [name for name in _TEXTS if not isinstance(values.get(name), str) or not values[name]]
    if empty:
        raise FormatError(f"{path} does not say its {' and '.join(empty)}.")
    if not isinstance(values.get("arguments"), dict) or not isinstance(values.get("results", {}), dict):
        raise FormatError(f"{path} is damaged: its arguments and its results must be objects.")
    if not isinstance(values.get("size"), int) or not _SHA256.fullmatch(str(values.get("sha256"))):
        raise FormatError(f"{path} does not say the size and the sha256 of its file.")


def _as_built(value: Any) -> Any:
    """Return what JSON holds as a list as the tuple that constructors expect."""
    return tuple(_as_built(entry) for entry in value) if isinstance(value, list) else value


WEIGHTS: dict[str, Weights] = {entry.name: entry for entry in (*bundled_entries(BUNDLED), *PUBLISHED)}
"""Every entry by name."""
