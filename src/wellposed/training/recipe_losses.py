"""The section `loss` of a recipe: what is minimised."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, TypeAlias

from wellposed import losses, transforms
from wellposed.core.errors import WellposedError
from wellposed.core.names import check_keywords
from wellposed.losses import Loss, Ramp, Sum
from wellposed.training.recipe_reader import Entry
from wellposed.transforms import Transform

__all__ = ["LOSSES", "LossPart", "build_loss", "read_loss"]

LossPart: TypeAlias = float | Mapping[str, Any]
"""The weight of a loss, a number or the arguments of a `Ramp`; or a mapping with `weight` and `arguments`."""

_NAMES = (
    "L1",
    "L2",
    "SSIM",
    "Artifact2Artifact",
    "EquivariantImaging",
    "EquivariantSplitting",
    "JacobianNorm",
    "MeasurementConsistency",
    "MultiOperatorEquivariantImaging",
    "MultiOperatorImaging",
    "Neighbor2Neighbor",
    "Noise2Score",
    "Noise2Self",
    "Noise2Void",
    "R2R",
    "SURE",
    "Splitting",
    "TotalVariation",
    "UNSURE",
    "phase2phase",
    "ssdu",
)
LOSSES: dict[str, Callable[..., Loss]] = {name: getattr(losses, name) for name in _NAMES}
"""The losses that recipes name; the others need pairs of measurements, tensors or networks."""

_TRANSFORMS: dict[str, type[Transform]] = {
    name: getattr(transforms, name)
    for name in ("Diffeomorphism", "Homography", "Permute", "Reflect", "Rotate", "Scale", "Shift", "TimeShift")
}
_NOT_PLAIN = ("operators", "covariance", "sampling")


def read_loss(entry: Entry) -> dict[str, LossPart]:
    """Read the section `loss`: a name; or, by name, a weight, or a weight and arguments."""
    if isinstance(entry.value, str):
        name = entry.choice("loss", LOSSES)
        _check(name, {}, entry)
        return {name: 1.0}
    entry.section(*LOSSES)
    return {name: _part(name, child) for name, child in entry.children().items()}


def build_loss(parts: Mapping[str, LossPart]) -> Loss:
    """Return the weighted sum of the losses of a recipe."""
    first, *rest = (_weighted(name, part) for name, part in parts.items())
    return Sum((first, *rest)) if rest else first


def _part(name: str, entry: Entry) -> LossPart:
    if not (isinstance(entry.value, Mapping) and {"weight", "arguments"} & entry.value.keys()):
        _check(name, {}, entry)
        return _weight(entry)
    entry.section("weight", "arguments")
    arguments = entry.child("arguments", {})
    if not isinstance(arguments.value, Mapping):
        arguments.fail(f"expected the arguments of {name} by name.")
    _check(name, arguments.value, arguments)
    return {"weight": _weight(entry.child("weight", 1.0)), "arguments": dict(arguments.value)}


def _weight(entry: Entry) -> float | dict[str, float]:
    if not isinstance(entry.value, Mapping):
        return entry.number(least=0)
    entry.section(*(field.name for field in fields(Ramp)))
    ramp = {
        "first": entry.child("first").number(least=0),
        "last": entry.child("last").number(least=0),
        "begin": entry.child("begin", 0.0).number(least=0, most=1),
        "end": entry.child("end", 1.0).number(least=0, most=1),
    }
    with entry.blamed():
        Ramp(**ramp)
    return ramp


def _check(name: str, arguments: Mapping[str, Any], entry: Entry) -> None:
    """Raise with the place unless the loss can be made of these arguments."""
    known = [key for key in inspect.signature(LOSSES[name]).parameters if key not in _NOT_PLAIN]
    with entry.blamed():
        check_keywords(name, arguments, known)
    motions = arguments.get("transform")
    if motions is not None:
        _check_transform(Entry(motions, entry.file, f"{entry.path}.transform"))
    elif name in ("EquivariantImaging", "MultiOperatorEquivariantImaging"):
        entry.fail(f"{name} needs its motions: write arguments: {{transform: Shift}}, or one of {_listed()}.")
    _try(lambda: _made(name, arguments), name, entry)


def _check_transform(entry: Entry) -> None:
    if isinstance(entry.value, str):
        entry.choice("transform", _TRANSFORMS)
        return
    entry.section("name", "arguments")
    name = entry.child("name").choice("transform", _TRANSFORMS)
    arguments = entry.child("arguments", {})
    if not isinstance(arguments.value, Mapping):
        arguments.fail(f"expected the arguments of {name} by name.")
    with arguments.blamed():
        check_keywords(name, arguments.value, inspect.signature(_TRANSFORMS[name]).parameters)
    _try(lambda: _TRANSFORMS[name](**arguments.value), name, arguments)


def _try(make: Callable[[], object], name: str, entry: Entry) -> None:
    try:
        make()
    except WellposedError as error:
        entry.fail(str(error))
    except (TypeError, ValueError) as error:
        entry.fail(f"{name} cannot be made of them ({error}).")


def _weighted(name: str, part: LossPart) -> Loss:
    arguments: Mapping[str, Any] = {}
    weight: Any = part
    if isinstance(part, Mapping) and "arguments" in part:
        weight, arguments = part["weight"], part["arguments"]
    return _made(name, arguments) * (Ramp(**weight) if isinstance(weight, Mapping) else weight)


def _made(name: str, arguments: Mapping[str, Any]) -> Loss:
    values = {key: _transform(value) if key == "transform" else value for key, value in arguments.items()}
    return LOSSES[name](**values)


def _transform(value: Any) -> Transform:
    if isinstance(value, str):
        return _TRANSFORMS[value]()
    return _TRANSFORMS[value["name"]](**value.get("arguments", {}))


def _listed() -> str:
    return ", ".join(_TRANSFORMS)
