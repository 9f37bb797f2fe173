"""Measurement files: measurements and the physics that made them, together, in one safetensors file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from wellposed.core.complex_view import storable
from wellposed.core.config import to_config
from wellposed.core.errors import ArgumentError, FormatError
from wellposed.core.files import atomic_path, existing_file
from wellposed.core.parametrised import Parametrised
from wellposed.core.tree import Tree, tree_map
from wellposed.data._descriptions import check_fit, described, parse, rebuilt
from wellposed.physics import Physics

__all__ = ["load_measurements", "save_measurements"]

_SUFFIX = ".safetensors"
_FORMAT = "wellposed measurements"
_VERSION = 1
_PARTS = ("y", "operator", "noise")


def save_measurements(path: str | Path, y: Tree, physics: Physics) -> None:
    """Write measurements and their physics to one file, whole or not at all.

    The file is safetensors: the tensors of `y`, of the operator and of the noise, and in its header a description in
    JSON of how they belong together. It holds no code, and reading it runs none. Gradients are not kept; NaN is.

    Parameters
    ----------
    path : str or Path
        Ends in `.safetensors`.
    y : Tensor or (nested) tuple of tensors, shape (B, *physics.measurement_shape)
    physics : Physics

    Raises
    ------
    FormatError
        If the path does not end in `.safetensors`, or is a folder.
    MissingFileError
        If its folder does not exist.
    ShapeError, DTypeError
        If `y` does not fit the physics.
    UnsupportedError
        If the physics holds something that cannot be described, such as a function.

    Examples
    --------
    >>> import tempfile
    >>> import wellposed as wp
    >>> physics = wp.Physics(wp.operators.Identity((1, 2, 2)), wp.noise.Gaussian(0.1))
    >>> path = Path(tempfile.mkdtemp()) / "y.safetensors"
    >>> save_measurements(path, torch.ones(1, 1, 2, 2), physics)
    >>> y, same = load_measurements(path)
    >>> y.shape, same.noise.sigma
    (torch.Size([1, 1, 2, 2]), tensor(0.1000))
    """
    path = Path(path)
    if path.suffix.lower() != _SUFFIX:
        raise FormatError(f"measurements are written to a {_SUFFIX} file, got {path}: change the name.")
    if type(physics) is not Physics:
        raise ArgumentError(f"save_measurements expects a Physics, got {type(physics).__name__}.")
    check_fit(y, physics)
    tensors: dict[str, Tensor] = {}
    values = {"y": y, "operator": physics.operator, "noise": physics.noise}
    parts = {
        **{part: to_config(values[part], tensors, path=part) for part in _PARTS},
        "complex128": [name for name, tensor in tensors.items() if tensor.dtype == torch.complex128],
    }
    stored = {name: storable(tensor) for name, tensor in tensors.items()}
    with atomic_path(path) as temporary:
        temporary.write_bytes(save(stored, metadata={"wellposed": described(_FORMAT, _VERSION, parts)}))


def load_measurements(
    path: str | Path, *, types: Iterable[type[Parametrised]] = (), device: torch.device | str = "cpu"
) -> tuple[Any, Physics]:
    """Read what `save_measurements` wrote.

    Parameters
    ----------
    path : str or Path
    types : iterable of classes
        Operators and noise models of your own that the file may name; those of wellposed are known.
    device : torch.device or str
        Where the measurements and the physics shall lie.

    Returns
    -------
    y : Tensor or (nested) tuple of tensors, shape (B, *physics.measurement_shape)
    physics : Physics

    Raises
    ------
    MissingFileError
        If there is no such file.
    FormatError
        If it is not a measurement file, damaged, made by a newer wellposed, names a class that is not known, or holds
        measurements that do not fit its physics.
    """
    path = existing_file(path)
    header, tensors = _read(path)
    description = _description(path, header)
    y, physics = rebuilt(path, description, _with_complex128(path, description["complex128"], tensors), types)
    return tree_map(lambda leaf: leaf.to(device), y), physics.to(device)


def _read(path: Path) -> tuple[Mapping[str, str], dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise FormatError(f"{path} is not a measurement file, or it is truncated ({error}).") from error


def _description(path: Path, header: Mapping[str, str]) -> dict[str, Any]:
    if "wellposed" not in header:
        raise FormatError(f"{path} is safetensors, but no measurement file: 'wellposed simulate' makes those.")
    return parse(path, header["wellposed"], kind=_FORMAT, newest=_VERSION, parts=(*_PARTS, "complex128"))


def _with_complex128(path: Path, names: Any, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors with those that were stored as pairs of numbers put together again."""
    try:
        return tensors | {name: torch.view_as_complex(tensors[name]) for name in names}
    except (LookupError, TypeError, RuntimeError) as error:
        raise FormatError(f"{path} is damaged: its description does not fit its tensors ({error}).") from error
