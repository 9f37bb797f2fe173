"""The sections `data`, `problems` and `validation` of a recipe: what is learnt, on what, and what judges it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Literal, TypeAlias, final, get_args

import torch

from wellposed.data.noise_families import RandomGaussian, RandomPoissonGaussian
from wellposed.data.task import Task
from wellposed.data.tasks import get_task
from wellposed.training.recipe_model import ModelPart
from wellposed.training.recipe_reader import Entry

__all__ = [
    "OF_TRAINING",
    "DataPart",
    "Kind",
    "NoisePart",
    "ProblemPart",
    "ValidationPart",
    "read_data",
    "read_problems",
    "read_validation",
]

Kind: TypeAlias = Literal["photographs", "ct", "mri"]
"""What the pictures of a folder are: 8-bit colours; CT slices of 16 bits, Hounsfield units plus 1024; magnitudes."""

OF_TRAINING = ("batch", "weight")
"""The keys that problems to train on have alone."""

_WORDS = {1: "grey", 2: "complex", 3: "colour"}


@final
@dataclass(frozen=True)
class DataPart:
    """Folders of pictures of one kind.

    Parameters
    ----------
    kind : {"photographs", "ct", "mri"}
    folders : tuple of str
        Relative to the root of the data.
    holdout : int
        How many of the pictures are kept for validation alone.
    """

    kind: Kind
    folders: tuple[str, ...]
    holdout: int = 0


@final
@dataclass(frozen=True)
class NoisePart:
    """Noise levels drawn for each image, instead of those of the task.

    Parameters
    ----------
    sigma : tuple of float
        Smallest and largest standard deviation of the Gaussian part, for images in [0, 1].
    gain : tuple of float, optional
        Smallest and largest gain of the Poisson part.
    """

    sigma: tuple[float, float]
    gain: tuple[float, float] | None = None


@final
@dataclass(frozen=True)
class ProblemPart:
    """A task on some data.

    Parameters
    ----------
    name : str
        For the logs.
    task : str
        A named task.
    data : str
        A name among the data.
    channels : {1, 2, 3}
        Grey, complex, colour; in a file it may be left out where the task or the data leaves no choice.
    noise : NoisePart, optional
        Instead of the noise of the task.
    batch : int, optional
        Images a step; by default what the training says.
    weight : float
        In the loss, relative to the mean of all problems.
    margin : int
        Pixels along each border whose errors count a tenth in training, and are not scored in the validation.
    """

    name: str
    task: str
    data: str
    channels: int
    noise: NoisePart | None = None
    batch: int | None = None
    weight: float = 1.0
    margin: int = 0

    def chosen_task(self) -> Task:
        """Return the task, with the noise of the recipe."""
        task = get_task(self.task)
        if self.noise is None:
            return task
        if self.noise.gain is None:
            return replace(task, noise=RandomGaussian(*self.noise.sigma))
        return replace(task, noise=RandomPoissonGaussian(sigma=self.noise.sigma, gain=self.noise.gain))


@final
@dataclass(frozen=True)
class ValidationPart:
    """What the weights are judged by: crops of held-out pictures, the same each time.

    Parameters
    ----------
    crop : int
        Height and width of the crops.
    problems : tuple of ProblemPart
    """

    crop: int
    problems: tuple[ProblemPart, ...]


def read_data(entry: Entry) -> DataPart:
    """Read one entry of the section `data`; its folders are not looked for."""
    entry.section("kind", "folders", "holdout")
    return DataPart(
        kind=entry.child("kind").choice("kind of data", get_args(Kind)),
        folders=tuple(folder.text() for folder in entry.child("folders").entries()),
        holdout=entry.child("holdout", 0).whole(least=0),
    )


def read_problems(
    entry: Entry, *, model: ModelPart, data: Mapping[str, DataPart], crop: Entry, is_validation: bool = False
) -> tuple[ProblemPart, ...]:
    """Read a list of problems on crops of a size, which must suit the model and the data.

    Those of the validation have neither a batch nor a weight.
    """
    keys = [field.name for field in fields(ProblemPart) if not (is_validation and field.name in OF_TRAINING)]
    with torch.device("meta"):
        channels = getattr(model.build(), "channels", None)
    problems: dict[str, ProblemPart] = {}
    for child in entry.entries():
        problem = _problem(child.section(*keys), data)
        if problem.name in problems:
            child.fail(f"there is a problem {problem.name!r} already: give this one a 'name' of its own.")
        if channels is not None and channels != problem.channels:
            child.child("channels").fail(f"{model.name} is built for {channels} channels, not {problem.channels}.")
        if 2 * problem.margin >= crop.whole(least=1):
            child.child("margin").fail(f"leaves nothing of crops of {crop.whole(least=1)} pixels.")
        problems[problem.name] = problem
    _check_crop(crop, tuple(problems.values()))
    return tuple(problems.values())


def _problem(entry: Entry, data: Mapping[str, DataPart]) -> ProblemPart:
    with entry.child("task").blamed():
        task = get_task(entry.child("task").text())
    source = entry.child("data").choice("data", data)
    channels = _channels(entry, task, data[source].kind)
    return ProblemPart(
        name=entry.child("name", f"{task.name}-{_WORDS[channels]}").text(),
        task=task.name,
        data=source,
        channels=channels,
        noise=_noise(entry.child("noise")) if entry.has("noise") else None,
        batch=entry.child("batch").whole(least=1) if entry.has("batch") else None,
        weight=entry.child("weight", 1.0).positive(),
        margin=entry.child("margin", 0).whole(least=0),
    )


def _channels(entry: Entry, task: Task, kind: Kind) -> int:
    """Return how many channels the images have, which the task and the data may leave open."""
    possible = [
        channels
        for channels in {"any": (1, 3), "grey": (1,), "complex": (2,), "rgb": (3,)}[task.images]
        if channels < 3 or kind == "photographs"
    ]
    if not possible:
        entry.child("data").fail(f"the task {task.name} needs photographs, which have colours.")
    if len(possible) == 1 and not entry.has("channels"):
        return possible[0]
    channels = entry.child("channels").whole(least=1)
    if channels not in possible:
        listed = " or ".join(f"{count} ({_WORDS[count]})" for count in possible)
        entry.child("channels").fail(f"the task {task.name} on such data expects {listed}, got {channels}.")
    return channels


def _noise(entry: Entry) -> NoisePart:
    entry.section("sigma", "gain")
    return NoisePart(_range(entry.child("sigma")), _range(entry.child("gain")) if entry.has("gain") else None)


def _range(entry: Entry) -> tuple[float, float]:
    levels = [level.number(least=0) for level in entry.entries()]
    if len(levels) != 2 or levels[0] > levels[1]:
        entry.fail(f"expected the smallest and the largest level, got {levels}.")
    return levels[0], levels[1]


def _check_crop(crop: Entry, problems: tuple[ProblemPart, ...]) -> None:
    size = crop.whole(least=1)
    for task in (problem.chosen_task() for problem in problems):
        if size < task.min_size or size % task.multiple_of:
            crop.fail(
                f"the task {task.name} needs crops of at least {task.min_size} pixels, in multiples of "
                f"{task.multiple_of}, got {size}."
            )


def read_validation(
    entry: Entry, *, model: ModelPart, data: Mapping[str, DataPart], crop: Entry, problems: tuple[ProblemPart, ...]
) -> ValidationPart:
    """Read the section `validation`; without problems of its own it has those of the training."""
    entry.section("crop", "problems")
    crop = entry.child("crop") if entry.has("crop") else crop
    if entry.has("problems"):
        child = entry.child("problems")
        problems = read_problems(child, model=model, data=data, crop=crop, is_validation=True)
    else:
        problems = tuple(replace(problem, batch=None, weight=1.0) for problem in problems)
        _check_crop(crop, problems)
    for problem in problems:
        if data[problem.data].holdout == 0:
            Entry(None, entry.file, f"data.{problem.data}.holdout").fail(
                f"the validation problem {problem.name!r} needs pictures that training does not see: set it above zero."
            )
    return ValidationPart(crop.whole(least=1), problems)
