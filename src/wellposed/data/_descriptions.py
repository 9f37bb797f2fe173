"""The description in JSON that files of measurements carry: checked when read, and built into what it describes."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import Tensor

from wellposed import noise, operators
from wellposed.core.complex_view import real_dtype
from wellposed.core.config import from_config
from wellposed.core.errors import FormatError, ShapeError, UnknownNameError
from wellposed.core.parametrised import Parametrised
from wellposed.core.shapes import check_tree
from wellposed.core.tree import Tree, tree_leaves
from wellposed.physics import Physics


def described(kind: str, file_version: int, parts: Mapping[str, Any]) -> str:
    """Return a description in JSON of a kind of file, with what it holds."""
    return json.dumps({"format": kind, "version": file_version, "library": version("wellposed"), **parts})


def parse(path: Path, text: str, *, kind: str, newest: int, parts: Iterable[str]) -> dict[str, Any]:
    """Return a description that is of the right kind and version and has all its parts.

    Raises
    ------
    FormatError
        Otherwise.
    """
    try:
        description = json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise FormatError(f"{path} has a damaged description ({error}).") from error
    if not isinstance(description, dict) or description.get("format") != kind:
        raise FormatError(f"{path} has a damaged description: it does not say {kind!r}.")
    file_version = description.get("version")
    if type(file_version) is not int or file_version < 1:
        raise FormatError(f"{path} has a damaged description: its version is {file_version!r}.")
    if file_version > newest:
        raise FormatError(
            f"{path} was made by a newer wellposed ({description.get('library')}, format {file_version}, "
            f"where this one reads up to {newest}): pip install --upgrade wellposed."
        )
    missing = [part for part in parts if part not in description]
    if missing:
        raise FormatError(f"{path} has a damaged description: it lacks {', '.join(missing)}.")
    return description


def rebuilt(
    path: Path, description: Mapping[str, Any], tensors: Mapping[str, Tensor], types: Iterable[type[Parametrised]]
) -> tuple[Tree, Physics]:
    """Build what the description says; an operator without parameters takes the precision of the measurements.

    Raises
    ------
    FormatError
        If the description does not fit the tensors, or names a class that is not known.
    """
    own = {kind.__name__: kind for kind in types}
    try:
        y = from_config(description["y"], tensors, {})
        operator = from_config(description["operator"], tensors, _classes(operators) | own)
        noise_model = from_config(description["noise"], tensors, _classes(noise) | own)
        precision = real_dtype(tree_leaves(y)[0].dtype)
        physics = Physics(operator if operator.params else operator.to(precision), noise_model)
        check_fit(y, physics)
    except UnknownNameError as error:
        raise FormatError(
            f"{path} is damaged, or has a class of yours to be read with types=(MyOperator,): {_short(error)}"
        ) from error
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RuntimeError) as error:
        raise FormatError(f"{path} is damaged: its description does not fit its tensors ({_short(error)}).") from error
    return y, physics


def check_fit(y: Tree, physics: Physics) -> None:
    """Raise `ShapeError` or `DTypeError` unless these can be measurements of this physics."""
    operator = physics.operator
    check_tree(type(operator).__name__, "measurements", y, operator.measurement_shape, operator.measurement_field)
    batches = {len(leaf) for leaf in tree_leaves(y)}
    if len(batches) > 1 or (operator.parameter_batch > 1 and batches != {operator.parameter_batch}):
        raise ShapeError(
            f"{type(operator).__name__} has parameters for {operator.parameter_batch} images and got measurements with "
            f"batches of {', '.join(map(str, sorted(batches)))}: give each image its own measurements."
        )


def _short(error: Exception) -> str:
    """Return what an error says, without the many numbers of a tensor that it may show."""
    return textwrap.shorten(str(error), 250, placeholder=" ...")


def _classes(room: ModuleType) -> dict[str, type[Parametrised]]:
    return {name: getattr(room, name) for name in room.__all__}
