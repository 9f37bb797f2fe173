"""The section `model` of a recipe: a network, and what it starts from."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import nn

from wellposed.core.errors import WellposedError
from wellposed.core.names import check_keywords
from wellposed.models.registry import MODELS
from wellposed.training.recipe_reader import Entry

__all__ = ["ModelPart", "StartPart", "read_model"]


@final
@dataclass(frozen=True)
class StartPart:
    """What a network starts from: one of two.

    Parameters
    ----------
    weights : str, optional
        Its own weights: a file, relative to the recipe, or the name of published or bundled weights.
    denoiser : str, optional
        Likewise, those of a denoiser that RAM starts from: a DRUNet or a DenoiserTiny, as `initialise_from_drunet` and
        `initialise_from_tiny` say.
    share : float, optional
        What the random weights beside those of the denoiser count: for a DRUNet the gain of the Krylov modules.
    """

    weights: str | None = None
    denoiser: str | None = None
    share: float | None = None


@final
@dataclass(frozen=True)
class ModelPart:
    """A network, and what it starts from.

    Parameters
    ----------
    name : str
        One of `MODELS`.
    arguments : mapping
        Of its constructor; a model inside is a mapping with `name` and `arguments`.
    start : StartPart, optional
        By default it starts from random weights.
    """

    name: str
    arguments: Mapping[str, Any]
    start: StartPart | None = None

    def build(self) -> nn.Module:
        """Return the network with random weights."""
        return _built({"name": self.name, "arguments": self.arguments})


def read_model(entry: Entry) -> ModelPart:
    """Read the section `model`: its arguments are tried, its weights are not looked for."""
    entry.section("name", "arguments", "start")
    _check_model(entry)
    name, arguments = entry.child("name").text(), entry.child("arguments", {}).value
    return ModelPart(name, arguments, _start(entry.child("start"), name) if entry.has("start") else None)


def _start(entry: Entry, name: str) -> StartPart:
    entry.section("weights", "denoiser", "share")
    if entry.has("weights") == entry.has("denoiser"):
        entry.fail("expected either 'weights', those of this network, or 'denoiser', one for RAM to start from.")
    if entry.has("weights"):
        if entry.has("share"):
            entry.child("share").fail("it goes with 'denoiser' only: remove it.")
        return StartPart(weights=entry.child("weights").text())
    if name != "RAM":
        entry.child("denoiser").fail(f"RAM alone starts from a denoiser, {name} does not: use 'weights'.")
    return StartPart(denoiser=entry.child("denoiser").text(), share=entry.child("share", 0.0).number(least=0))


def _check_model(entry: Entry) -> None:
    """Raise unless the model can be built, without making its weights."""
    name = entry.child("name").choice("model", MODELS)
    arguments = entry.child("arguments", {})
    if not isinstance(arguments.value, Mapping):
        arguments.fail("expected the arguments of the model by name.")
    with arguments.blamed():
        check_keywords(name, arguments.value, inspect.signature(MODELS[name]).parameters)
    for key, value in arguments.value.items():
        if isinstance(value, Mapping):
            _check_model(arguments.child(key).section("name", "arguments"))
    try:
        with torch.device("meta"):
            _built(entry.value)
    except WellposedError as error:
        arguments.fail(str(error))
    except (TypeError, ValueError) as error:
        arguments.fail(f"{name} cannot be built from them ({error}).")


def _built(description: Any) -> Any:
    if isinstance(description, Mapping):
        arguments = description.get("arguments", {})
        return MODELS[description["name"]](**{name: _built(value) for name, value in arguments.items()})
    return tuple(map(_built, description)) if isinstance(description, (list, tuple)) else description
