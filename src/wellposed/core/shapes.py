"""Shapes without the batch axis, and the one check that a tensor has the shape, kind and precision that is expected."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, TypeGuard, cast

import torch
from torch import Tensor

from wellposed.core.errors import DTypeError, ShapeError
from wellposed.core.tree import Tree

__all__ = ["Field", "Shape", "as_shape", "check_tensor", "check_tree", "fixed_shape", "shape_text"]

Shape: TypeAlias = tuple["int | Shape | None", ...]
"""Sizes of one tensor without its batch axis (None: any size), or a tuple of such shapes for a tuple of tensors."""

Field: TypeAlias = Literal["real", "complex", "any"]
"""The numbers that a tensor holds: real, complex, or whichever comes."""


def as_shape(owner: str, role: str, shape: Any) -> Shape:
    """Return a shape as a tuple, of sizes that are whole numbers above zero or None, or of such shapes.

    Parameters
    ----------
    owner, role : str
        Whose shape, and of what, in the singular: ("Blur", "image").
    shape : sequence of (int, None or sequence)

    Raises
    ------
    ShapeError
        If it is anything else.
    """
    if isinstance(shape, (tuple, list)):
        if all(isinstance(part, (tuple, list)) for part in shape):
            return tuple(as_shape(owner, role, part) for part in shape)
        if all(size is None or (isinstance(size, int) and not isinstance(size, bool) and size > 0) for size in shape):
            return tuple(shape)
    raise ShapeError(
        f"{owner} expects the shape of its {role}s without the batch axis, a tuple of whole numbers above zero such as "
        f"(3, 256, 256); got {shape!r}."
    )


def fixed_shape(owner: str, shape: Any) -> tuple[int, ...]:
    """Return the shape of images (C, ...) whose sizes in space are all given; the channels may be any.

    Raises
    ------
    ShapeError
        If it is anything else.
    """
    sizes = as_shape(owner, "image", shape)
    if not sizes or isinstance(sizes[0], tuple) or None in sizes[1:]:
        raise ShapeError(f"{owner} expects an image shape with all sizes in space, such as (3, 256, 256); got {shape}.")
    return cast("tuple[int, ...]", sizes)


def is_nested(shape: Shape) -> TypeGuard[tuple[Shape, ...]]:
    """Tell whether a shape describes a tuple of tensors rather than one tensor."""
    return len(shape) > 0 and isinstance(shape[0], tuple)


def shape_text(shape: Shape, batch: str = "B") -> str:
    """Write a shape with its batch axis: (B, 3, 256, 256); any size is written as its usual letter."""
    if is_nested(shape):
        return "(" + ", ".join(shape_text(part, batch) for part in shape) + ")"
    letters = ("C", "D", "H", "W") if len(shape) == 4 else ("C", "H", "W") if len(shape) == 3 else ("any",) * len(shape)
    sizes = [letter if size is None else str(size) for letter, size in zip(letters, shape, strict=True)]
    return "(" + ", ".join([batch, *sizes]) + ")"


def check_tensor(owner: str, name: str, value: Any) -> None:
    """Raise `DTypeError` if an argument is not a tensor, with what to do for a NumPy array."""
    if not isinstance(value, Tensor):
        raise DTypeError(f"{owner} expects {name} to be a torch.Tensor, got {type(value).__name__}{_hint(value)}")


def _hint(value: Any) -> str:
    return ": convert it with torch.from_numpy." if type(value).__module__ == "numpy" else "."


def check_tree(owner: str, role: str, value: Any, shape: Shape, field: Field = "any") -> Tree:
    """Return `value` if it is a floating tensor (or tuple of tensors) of the given shape behind a batch axis.

    Parameters
    ----------
    owner, role : str
        Who expects it, and what it is, in the plural: ("Blur", "images").
    value : Tensor or tuple
        What came.
    shape : Shape
        What is expected, without the batch axis.
    field : {"real", "complex", "any"}

    Raises
    ------
    ShapeError, DTypeError
        With a sentence that names the owner, what it expected, what it got, and what to do.
    """
    if is_nested(shape):
        if not isinstance(value, tuple) or len(value) != len(shape):
            got = f"a tuple of {len(value)}" if isinstance(value, tuple) else f"a {type(value).__name__}"
            raise ShapeError(f"{owner} expects {role} that are a tuple of {len(shape)} tensors, got {got}.")
        parts = zip(value, shape, strict=True)
        return tuple(check_tree(owner, role, part, part_shape, field) for part, part_shape in parts)
    if not isinstance(value, Tensor):
        raise DTypeError(f"{owner} expects {role} that are a torch.Tensor, got {type(value).__name__}{_hint(value)}")
    _check_dtype(owner, role, value.dtype, field)
    _check_sizes(owner, role, tuple(value.shape), cast("tuple[int | None, ...]", shape))
    return value


def _check_dtype(owner: str, role: str, dtype: torch.dtype, field: Field) -> None:
    if not (dtype.is_floating_point or dtype.is_complex):
        raise DTypeError(
            f"{owner} expects floating-point {role}, got {dtype}: convert with x.float(), "
            "8-bit images with x.float() / 255."
        )
    if field == "complex" and not dtype.is_complex:
        raise DTypeError(
            f"{owner} expects complex {role}, got {dtype}: "
            "convert with torch.complex(real, imaginary) or x.to(torch.complex64)."
        )
    if field == "real" and dtype.is_complex:
        raise DTypeError(
            f"{owner} expects real {role}, got {dtype}: "
            "take x.real or x.abs(), or treat both parts as images of a batch."
        )


def _check_sizes(owner: str, role: str, got: tuple[int, ...], shape: tuple[int | None, ...]) -> None:
    fits = len(got) == len(shape) + 1 and all(want in (None, size) for want, size in zip(shape, got[1:], strict=True))
    if fits and got[0] > 0:
        return
    hint = "."
    if len(got) == len(shape) and all(want in (None, size) for want, size in zip(shape, got, strict=True)):
        hint = ": add the batch axis with x[None]."
    elif fits:
        hint = ": the batch is empty."
    raise ShapeError(f"{owner} expects {role} of shape {shape_text(shape)}, got {got}{hint}")
