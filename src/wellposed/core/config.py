"""Describe objects as JSON plus named tensors, and build them again: how measurement files carry their physics.

An object is described by its class and its constructor's arguments, which `Parametrised` objects keep by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from wellposed.core.errors import FormatError, UnsupportedError
from wellposed.core.names import check_keywords, check_name
from wellposed.core.parametrised import Parametrised

__all__ = ["from_config", "to_config"]


def to_config(value: Any, tensors: dict[str, Tensor], *, path: str) -> Any:
    """Return a JSON description of `value`; its tensors are put into `tensors` under names that start with `path`.

    Raises
    ------
    UnsupportedError
        If something in it is neither a `Parametrised` object, a tensor, nor plain JSON.
    """
    if isinstance(value, Parametrised):
        arguments = value.constructor_arguments()
        described = {name: to_config(entry, tensors, path=f"{path}.{name}") for name, entry in arguments.items()}
        return {"type": type(value).__name__, "arguments": described}
    if isinstance(value, Tensor):
        tensors[path] = value.detach()
        return {"tensor": path}
    if isinstance(value, (tuple, list)):
        return [to_config(entry, tensors, path=f"{path}.{index}") for index, entry in enumerate(value)]
    if isinstance(value, complex):
        return {"complex": [value.real, value.imag]}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise UnsupportedError(f"{path} is a {type(value).__name__}, which cannot be written to a file.")


def from_config(config: Any, tensors: Mapping[str, Tensor], registry: Mapping[str, type[Parametrised]]) -> Any:
    """Build what `to_config` described, from the classes in `registry` only.

    Raises
    ------
    FormatError
        If the description is damaged.
    UnknownNameError
        If it names a class that is not registered.
    """
    if isinstance(config, list):
        return tuple(from_config(entry, tensors, registry) for entry in config)
    if not isinstance(config, dict):
        return config
    if set(config) == {"complex"}:
        return complex(*config["complex"])
    if set(config) == {"tensor"}:
        if config["tensor"] not in tensors:
            raise FormatError(f"the description names a tensor {config['tensor']!r} that the file does not hold.")
        return tensors[config["tensor"]]
    if set(config) != {"type", "arguments"} or not isinstance(config["arguments"], dict):
        raise FormatError(f"the description has an entry that is not understood: {sorted(config)}.")
    kind = registry[check_name("type", config["type"], registry)]
    arguments = {name: from_config(entry, tensors, registry) for name, entry in config["arguments"].items()}
    check_keywords(kind.__name__, arguments, kind.constructor_names())
    return kind(**arguments)
