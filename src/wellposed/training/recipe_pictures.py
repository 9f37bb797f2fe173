"""The pictures of a recipe: decoded into the memory of the device, some of them held out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import torch

from wellposed.core.files import existing_folder
from wellposed.data.image_store import ImageStore
from wellposed.training.recipe import Recipe
from wellposed.training.recipe_reader import Entry

__all__ = ["PictureProgress", "Pictures", "check_folders", "read_pictures"]

PictureProgress: TypeAlias = Callable[[str, int, int], None]
"""Is told which data are read and how many of their files: ``progress(name, done, total)``."""

_READING: dict[str, dict[str, Any]] = {
    "photographs": {"bits": 8},
    "ct": {"bits": 16, "window": (-176.0, 1824.0)},
    "mri": {"bits": 16},
}


class Pictures(NamedTuple):
    """The pictures of one entry of the data."""

    training: ImageStore
    held_out: ImageStore | None
    too_small: int
    """How many take no part in training, being smaller than the crops."""
    unusable: tuple[str, ...]
    """For each file that could not be read, its name and the reason."""


def check_folders(recipe: Recipe, root: Path) -> None:
    """Raise `FormatError`, naming the place in the recipe, unless all folders that are used are there."""
    for name in _used(recipe):
        for index, folder in enumerate(recipe.data[name].folders):
            with Entry(None, recipe.file, f"data.{name}.folders[{index}]").blamed():
                existing_folder(root / folder)


def read_pictures(
    recipe: Recipe, root: Path, device: torch.device, progress: PictureProgress | None = None
) -> Mapping[str, Pictures]:
    """Decode the pictures that the problems of a recipe use.

    Which ones are held out depends on the files alone, not on the crops nor on the problems.

    Parameters
    ----------
    recipe : Recipe
    root : Path
        The folder that those of the data are in.
    device : torch.device
    progress : callable, optional

    Raises
    ------
    FormatError
        If a folder holds no picture that can be used, or as few as are held out.
    """
    return {name: _read(recipe, name, root, device, progress) for name in _used(recipe)}


def _used(recipe: Recipe) -> list[str]:
    used = {problem.data for problem in (*recipe.problems, *recipe.validation.problems)}
    return [name for name in recipe.data if name in used]


def _read(recipe: Recipe, name: str, root: Path, device: torch.device, progress: PictureProgress | None) -> Pictures:
    part = recipe.data[name]
    problems = [problem for problem in (*recipe.problems, *recipe.validation.problems) if problem.data == name]
    with Entry(None, recipe.file, f"data.{name}").blamed():
        store = ImageStore.from_folder(
            [root / folder for folder in part.folders],
            channels=3 if any(problem.channels == 3 for problem in problems) else 1,
            device=device,
            progress=None if progress is None else lambda done, total: progress(name, done, total),
            **_READING[part.kind],
        )
        training, held_out = store.split(part.holdout) if part.holdout else (store, None)
    return Pictures(
        training,
        held_out,
        too_small=sum(min(sides) < recipe.crop for sides in training.sizes),
        unusable=tuple(f"{file} {reason}" for file, reason in store.skipped),
    )
