"""Recipes: what to train, on what and how, in one YAML file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any, final

from wellposed.training.options import Options
from wellposed.training.recipe_losses import LossPart, read_loss
from wellposed.training.recipe_model import ModelPart, read_model
from wellposed.training.recipe_problems import (
    OF_TRAINING,
    DataPart,
    ProblemPart,
    ValidationPart,
    read_data,
    read_problems,
    read_validation,
)
from wellposed.training.recipe_reader import Entry, override, read_yaml, write_yaml
from wellposed.training.recipe_training import OF_THE_MACHINE, read_training

__all__ = ["RECIPE_VERSION", "Recipe", "read_recipe"]

RECIPE_VERSION = 1
"""The version of the layout of recipes that this wellposed reads."""

_SECTIONS = ("version", "model", "data", "crop", "problems", "validation", "loss", "training")


@final
@dataclass(frozen=True)
class Recipe:
    """What to train, on what and how; `read_recipe` makes it from a file, and `str(recipe)` is such a file again.

    Parameters
    ----------
    model : ModelPart
        The network, and the weights that it starts from.
    data : mapping of str to DataPart
        Folders of pictures by name.
    crop : int
        Height and width of the crops.
    problems : tuple of ProblemPart
        What is learnt, all of it at once.
    validation : ValidationPart
        What the weights are judged by.
    loss : mapping of str to float or mapping
        The weight of each loss by its name, or the arguments of a `Ramp`; or a mapping with `weight` and `arguments`.
    training : Options
        Steps, optimiser, schedule, precision, seed and logs.
    file : str
        Where it came from, for errors; recipes that differ in nothing else are equal.
    """

    model: ModelPart
    data: Mapping[str, DataPart]
    crop: int
    problems: tuple[ProblemPart, ...]
    validation: ValidationPart
    loss: Mapping[str, LossPart]
    training: Options
    file: str = field(default="recipe", compare=False)

    def on_machine(self, device: str, *, light: bool = False) -> Recipe:
        """Return the recipe with the options that are of the machine, `device` and `light`, as `Options` knows them."""
        values: dict[str, Any] = {"device": device, "light": light}
        return replace(self, training=replace(self.training, **values))

    def to_dict(self) -> dict[str, Any]:
        """Return the recipe as plain values, every default written out, without the options that are of the machine."""
        content = asdict(self)
        del content["file"]
        for name in OF_THE_MACHINE:
            del content["training"][name]
        for problem, name in product(content["validation"]["problems"], OF_TRAINING):
            del problem[name]
        return {"version": RECIPE_VERSION, **_without_nothing(content)}

    def __str__(self) -> str:
        return write_yaml(self.to_dict())


def read_recipe(path: str | Path, settings: Sequence[str] = ()) -> Recipe:
    """Read a recipe, and check all that can be checked without its data.

    Parameters
    ----------
    path : str or Path
    settings : sequence of str
        Values to set before it is checked, such as ``training.steps=1000`` or ``problems[0].batch=4``.

    Raises
    ------
    FormatError
        If something in it is wrong: the sentence names the place.
    ArgumentError
        If a setting leads nowhere.
    MissingFileError
        If there is no such file.
    MissingDependencyError
        If PyYAML is not installed.
    """
    content = read_yaml(path)
    for setting in settings:
        content = override(content, setting)
    return parse_recipe(content, str(path))


def parse_recipe(content: Any, file: str) -> Recipe:
    """Return the recipe in the plain values of a file; errors call it `file`."""
    _check_version(Entry(content, file))
    entry = Entry(content, file).section(*_SECTIONS)
    model = read_model(entry.child("model"))
    data = {name: read_data(child) for name, child in entry.child("data").children().items()}
    crop = entry.child("crop", 128)
    problems = read_problems(entry.child("problems"), model=model, data=data, crop=crop)
    return Recipe(
        model=model,
        data=data,
        crop=crop.whole(least=1),
        problems=problems,
        validation=read_validation(entry.child("validation", {}), model=model, data=data, crop=crop, problems=problems),
        loss=read_loss(entry.child("loss", "L1")),
        training=read_training(entry.child("training")),
        file=file,
    )


def _check_version(entry: Entry) -> None:
    if not isinstance(entry.value, Mapping):
        entry.fail(f"expected a recipe with the sections {', '.join(_SECTIONS)}.")
    version = entry.child("version").whole(least=1)
    if version > RECIPE_VERSION:
        entry.fail(
            f"this is a recipe of version {version}, made for a newer wellposed, and this one reads version "
            f"{RECIPE_VERSION}: pip install --upgrade wellposed, or rewrite the recipe."
        )


def _without_nothing(value: Any) -> Any:
    """Return plain values without the keys under which there is None."""
    if isinstance(value, Mapping):
        return {key: _without_nothing(entry) for key, entry in value.items() if entry is not None}
    if isinstance(value, (list, tuple)):
        return [_without_nothing(entry) for entry in value]
    return value
