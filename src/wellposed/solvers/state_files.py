"""The state of an iteration in a file, from which another process goes on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from wellposed.core.complex_view import storable
from wellposed.core.errors import ArgumentError, FormatError
from wellposed.core.files import atomic_path, existing_file
from wellposed.solvers.driver import State, StateT

__all__ = ["load_state", "save_state"]

_FORMAT = "wellposed state 1"
_SUFFIX = ".safetensors"


def save_state(path: str | Path, state: State) -> None:
    """Write the state of an iteration to one file, whole or not at all.

    Parameters
    ----------
    path : str or Path
        Ends in `.safetensors`.
    state : NamedTuple
        As in `Solution.state`: of tensors, numbers, None, tuples, and NamedTuples of these.

    Raises
    ------
    FormatError
        If the path ends otherwise.
    ArgumentError
        If the state holds anything else.

    Examples
    --------
    >>> import tempfile
    >>> import wellposed as wp
    >>> path = Path(tempfile.mkdtemp()) / "state.safetensors"
    >>> system = wp.solvers.LinearSystem(lambda x: torch.tensor([1.0, 2, 3]) * x, torch.ones(1, 3))
    >>> method = wp.solvers.CG()
    >>> start = method.init(system)
    >>> first = wp.solvers.run(method, system, start, callback=lambda step, _: step == 2)
    >>> save_state(path, first.state)
    >>> wp.solvers.run(method, system, load_state(path, start)).value
    tensor([[1.0000, 0.5000, 0.3333]])
    """
    path = Path(path)
    if path.suffix.lower() != _SUFFIX:
        raise FormatError(f"a state is written to a {_SUFFIX} file, got {path}: change the name.")
    tensors: dict[str, Tensor] = {}
    header = {"format": _FORMAT, "state": _described(state, "state", tensors)}
    with atomic_path(path) as temporary:
        temporary.write_bytes(save(tensors, metadata={"wellposed": json.dumps(header)}))


def load_state(path: str | Path, like: StateT) -> StateT:
    """Read a state that `save_state` wrote.

    Parameters
    ----------
    path : str or Path
    like : NamedTuple
        A state of the same method, such as its first one: tells the classes, and the device.

    Returns
    -------
    NamedTuple
        With the same bits as the state that was written.

    Raises
    ------
    MissingFileError
        If there is no such file.
    FormatError
        If it holds no state, is damaged, or holds that of another method.
    """
    path = existing_file(path)
    try:
        with safe_open(path, framework="pt") as file:
            facts = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise FormatError(f"{path} is not the file of a state, or it is truncated ({error}).") from error
    try:
        header = json.loads(facts["wellposed"])
        kind, known = header["format"], header["state"]
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"{path} does not hold a state: 'save_state' writes files that do.") from error
    if kind != _FORMAT:
        raise FormatError(f"{path} is a file of another kind or version: 'save_state' writes those of states.")
    try:
        return cast("StateT", _rebuilt(known, like, tensors, like.active.device))
    except (KeyError, TypeError, RuntimeError) as error:
        raise FormatError(f"{path} does not hold a state of the class {type(like).__name__}.") from error


def _described(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """Return plain JSON for a part of a state, whose tensors are added to the others."""
    if isinstance(value, Tensor):
        tensors[name] = storable(value)
        return {"tensor": name, "pairs": value.dtype == torch.complex128}
    if _is_record(value):
        parts = {key: _described(part, f"{name}.{key}", tensors) for key, part in value._asdict().items()}
        return {"record": type(value).__name__, "parts": parts}
    if isinstance(value, tuple):
        return {"tuple": [_described(part, f"{name}.{index}", tensors) for index, part in enumerate(value)]}
    if value is None or isinstance(value, bool | int | float | str):
        return {"value": value}
    raise ArgumentError(f"save_state expects tensors, numbers and tuples of them, got {type(value).__name__} ({name}).")


def _rebuilt(known: Mapping[str, Any], like: Any, tensors: Mapping[str, Tensor], device: torch.device) -> Any:
    """Return what `_described` saw; classes are those of `like`, and nothing else of it counts."""
    if "tensor" in known:
        tensor = tensors[known["tensor"]].to(device)
        return torch.view_as_complex(tensor) if known["pairs"] else tensor
    if "record" in known:
        parts = known["parts"]
        if not _is_record(like) or type(like).__name__ != known["record"] or set(like._fields) != parts.keys():
            raise FormatError(
                f"the file holds a {known['record']} where a {type(like).__name__} belongs: "
                "give load_state a state of the method that it was written by."
            )
        return type(like)(**{key: _rebuilt(part, getattr(like, key), tensors, device) for key, part in parts.items()})
    if "tuple" in known:
        examples = [*like, *[None] * len(known["tuple"])] if isinstance(like, tuple) else [None] * len(known["tuple"])
        return tuple(_rebuilt(part, one, tensors, device) for part, one in zip(known["tuple"], examples, strict=False))
    return known["value"]


def _is_record(value: Any) -> bool:
    return isinstance(value, tuple) and hasattr(value, "_fields")
