"""Operators on volumes that act on each slice by itself, as operators on a batch of slices."""

from __future__ import annotations

from functools import singledispatch
from typing import TypeVar, cast

from wellposed.core.errors import UnsupportedError
from wellposed.core.parametrised import Parametrised
from wellposed.core.shapes import Shape
from wellposed.operators.algebra import Adjoint, Compose, Scaled, Stack, Sum
from wellposed.operators.base import LinearOperator
from wellposed.operators.blur import Blur
from wellposed.operators.identity import Identity
from wellposed.operators.mask import Mask
from wellposed.operators.per_slice import PerSlice
from wellposed.operators.spectral_response import SpectralResponse

__all__ = ["of_images", "on_slices"]

Kind = TypeVar("Kind", bound=Parametrised)


@singledispatch
def on_slices(operator: LinearOperator) -> LinearOperator:
    """Return the operator on images (C, H, W) that acts on the slices of one volume, all of them or each its own.

    Parameters
    ----------
    operator : LinearOperator
        On volumes (C, D, H, W), its parameters for one of them.

    Raises
    ------
    UnsupportedError
        If the operator joins slices, or may.
    """
    raise UnsupportedError(
        f"{type(operator).__name__} on {operator.image_shape} does not say that it acts on each slice of a volume by "
        "itself: make it one on images, and PerSlice(operator, depth) of that."
    )


def of_images(part: Kind, first: int, last: int) -> Kind:
    """Return an operator or a noise model for the images `first` to `last` - 1 of the batch of its parameters."""
    chosen = {name: value[first:last] for name, value in part.params.items() if value.ndim and value.shape[0] > 1}
    return part.with_params(**chosen)


@on_slices.register
def _(operator: PerSlice) -> LinearOperator:
    return operator.operator


@on_slices.register
def _(operator: Identity) -> LinearOperator:
    return Identity(_without_depth(operator.image_shape)).to(operator.device, operator.dtype)


@on_slices.register
def _(operator: Mask) -> LinearOperator:
    return Mask(operator.mask[0].movedim(1, 0), _without_depth(operator.image_shape))


@on_slices.register
def _(operator: Blur) -> LinearOperator:
    if operator.kernel.shape[2] > 1:
        raise UnsupportedError(
            f"a Blur whose kernel is {operator.kernel.shape[2]} slices deep joins the slices of a volume."
        )
    space = cast("tuple[int, ...]", _without_depth(operator.image_shape))
    return Blur(operator.kernel[:, :, 0], space, operator.padding, operator.method)


@on_slices.register
def _(operator: SpectralResponse) -> LinearOperator:
    return SpectralResponse(operator.response, _without_depth(operator.image_shape))


@on_slices.register
def _(operator: Scaled) -> LinearOperator:
    return Scaled(on_slices(operator.operator), operator.scale)


@on_slices.register
def _(operator: Adjoint) -> LinearOperator:
    return on_slices(operator.operator).H


@on_slices.register
def _(operator: Compose) -> LinearOperator:
    return on_slices(operator.outer) @ on_slices(operator.inner)


@on_slices.register
def _(operator: Sum) -> LinearOperator:
    return Sum([on_slices(cast("LinearOperator", part)) for part in operator.operators])


@on_slices.register
def _(operator: Stack) -> LinearOperator:
    return Stack([on_slices(cast("LinearOperator", part)) for part in operator.operators])


def _without_depth(shape: Shape) -> Shape:
    return (shape[0], *shape[2:])
