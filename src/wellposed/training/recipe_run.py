"""From a recipe to trained weights: what the command `wellposed train` does."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast, final

import torch
from torch import nn

from wellposed.core.errors import ArgumentError
from wellposed.core.files import atomic_path
from wellposed.data.image_store import ImageStore
from wellposed.data.problems import FixedProblem, SimulatedProblem
from wellposed.models import RAM, DenoiserTiny, DRUNet, initialise_from_drunet, initialise_from_tiny, weights
from wellposed.models.base import Denoiser
from wellposed.training.denoising import Denoising
from wellposed.training.options import Options
from wellposed.training.plan import Exercise
from wellposed.training.processes import join_processes
from wellposed.training.recipe import Recipe
from wellposed.training.recipe_losses import build_loss
from wellposed.training.recipe_pictures import PictureProgress, Pictures, check_folders, read_pictures
from wellposed.training.recipe_problems import ProblemPart
from wellposed.training.recipe_reader import Entry
from wellposed.training.run import Outcome, Report
from wellposed.training.trainer import Trainer

__all__ = ["Prepared", "prepare"]


@final
@dataclass(frozen=True, eq=False)
class Prepared:
    """A recipe that is ready to run.

    Parameters
    ----------
    recipe : Recipe
    trainer : Trainer
    pictures : mapping of str to Pictures
        What is trained on, by the names of the data.
    """

    recipe: Recipe
    trainer: Trainer
    pictures: Mapping[str, Pictures]

    def run(
        self,
        *,
        resume: bool = False,
        max_minutes: float | None = None,
        callback: Callable[[Report], None] | None = None,
    ) -> Outcome:
        """Train, as `Trainer.run` does; the folder of the run gets two more files.

        `recipe.yaml` is the recipe with every default written out. `legs.jsonl` gets a line of JSON with what this call
        did: when, on what machine, by how many processes, its minutes, steps and crops so far, losses, PSNR before and
        after.
        """
        reports: list[Report] = []

        def watch(report: Report) -> None:
            if not reports:
                self._write_recipe()
            reports[:] = [report]
            if callback is not None:
                callback(report)

        began = time.monotonic()
        outcome = self.trainer.run(resume=resume, max_minutes=max_minutes, callback=watch)
        if reports:
            self._write_leg(outcome, reports[-1], minutes=(time.monotonic() - began) / 60)
        return outcome

    def _write_recipe(self) -> None:
        if self.trainer.folder is not None:
            with atomic_path(self.trainer.folder / "recipe.yaml") as temporary:
                temporary.write_text(str(self.recipe), encoding="utf-8")

    def _write_leg(self, outcome: Outcome, last: Report, *, minutes: float) -> None:
        if self.trainer.folder is None:
            return
        leg = {
            "ended": datetime.now(UTC).isoformat(timespec="seconds"),
            "recipe": Path(self.recipe.file).name,
            "machine": _machine(self.recipe.training),
            "processes": join_processes(self.recipe.training).num_processes,
            "reason": outcome.reason,
            "minutes": round(minutes, 2),
            "minutes_of_steps_in_all": round(outcome.minutes, 2),
            "step": outcome.step,
            "crops": outcome.images,
            "crops_per_second": round(outcome.crops_per_second, 1),
            "losses": _rounded(last.losses, 6),
            "before": _rounded(outcome.before, 3),
            "after": _rounded(outcome.after, 3),
        }
        with (self.trainer.folder / "legs.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(leg) + "\n")


def prepare(
    recipe: Recipe,
    *,
    root: str | Path | None = None,
    folder: str | Path | None = None,
    resume: bool = False,
    progress: PictureProgress | None = None,
) -> Prepared:
    """Make a recipe ready: its network, its pictures decoded into the memory of the device, its problems.

    Denoisers are trained as `Denoising` and kept as themselves.

    Parameters
    ----------
    recipe : Recipe
    root : str or Path, optional
        The folder that those of the data are in; by default the one of the recipe.
    folder : str or Path, optional
        Where the run is kept.
    resume : bool
        Whether a run in this folder shall go on: the weights to start from are not looked for then.
    progress : callable, optional
        ``progress(name, done, total)``, after each file.

    Raises
    ------
    FormatError
        If weights or folders are missing or cannot be used: the sentence names the place in the recipe.
    MissingDependencyError
        If Accelerate is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from wellposed.data import write_image
    >>> from wellposed.training import read_recipe
    >>> folder = Path(tempfile.mkdtemp())
    >>> for number in range(3):
    ...     write_image(folder / f"{number}.png", torch.rand(1, 3, 24, 24))
    >>> _ = (folder / "recipe.yaml").write_text('''
    ... version: 1
    ... model: {name: DenoiserTiny, arguments: {channels: 3, widths: [4, 8], blocks: 1}}
    ... data: {photographs: {kind: photographs, folders: [.], holdout: 1}}
    ... crop: 16
    ... problems: [{task: denoise-medium, data: photographs, channels: 3}]
    ... training: {steps: 4, batch: 2, validation_batch: 2}
    ... ''')
    >>> prepare(read_recipe(folder / "recipe.yaml")).run().reason
    'finished'
    """
    base = Path(recipe.file).parent if root is None else Path(root)
    join_processes(recipe.training)
    is_begun = resume and folder is not None and _holds_a_run(Path(folder))
    model = _network(recipe, with_start=not is_begun)
    check_folders(recipe, base)
    pictures = read_pictures(recipe, base, _device(recipe.training), progress)
    exercises = [
        Exercise(
            _simulated(problem, pictures[problem.data].training, recipe.crop),
            problem.batch,
            problem.weight,
            problem.margin,
        )
        for problem in recipe.problems
    ]
    validation = [
        FixedProblem(
            _simulated(problem, _held_out(pictures[problem.data]), recipe.validation.crop, augment=False),
            recipe.training.validation_batch,
            margin=problem.margin,
        )
        for problem in recipe.validation.problems
    ]
    trainer = Trainer(
        Denoising(model) if isinstance(model, Denoiser) else model,
        exercises,
        recipe.training,
        loss=build_loss(recipe.loss),
        validation=validation,
        folder=folder,
        recipe=_identity(recipe),
        export=_without_denoising,
    )
    return Prepared(recipe, trainer, pictures)


def _holds_a_run(folder: Path) -> bool:
    return any(True for name in ("checkpoint", "light-*") for _ in folder.glob(f"{name}.safetensors"))


def _identity(recipe: Recipe) -> dict[str, Any]:
    """Return what a run that goes on must have been made with, besides the options that the trainer compares itself."""
    content = recipe.to_dict()
    del content["training"]
    content["model"].pop("start", None)
    return content


def _network(recipe: Recipe, *, with_start: bool) -> nn.Module:
    """Return the network with the weights that it starts from, or else with random ones that follow from the seed."""
    start = recipe.model.start
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.training.seed)
        model = recipe.model.build()
    if start is None or not with_start:
        return model
    if start.weights is not None:
        with Entry(None, recipe.file, "model.start.weights").blamed():
            weights.fill(model, _source(recipe, start.weights))
    if start.denoiser is not None:
        with Entry(None, recipe.file, "model.start.denoiser").blamed():
            _start_from(cast("RAM", model), weights.load(_source(recipe, start.denoiser)), start.share or 0.0)
    return model


def _start_from(ram: RAM, denoiser: nn.Module, share: float) -> None:
    if isinstance(denoiser, DRUNet):
        initialise_from_drunet(ram, denoiser, gain=share)
    elif isinstance(denoiser, DenoiserTiny):
        initialise_from_tiny(ram, denoiser, share=share)
    else:
        raise ArgumentError(
            f"expected the weights of a DRUNet or a DenoiserTiny, got those of {type(denoiser).__name__}."
        )


def _source(recipe: Recipe, name: str) -> str | Path:
    """Return a path, relative to the recipe, for what ends like a file; else the name of weights."""
    return Path(recipe.file).parent / name if Path(name).suffix else name


def _device(options: Options) -> torch.device:
    if options.device == "auto":
        return cast("torch.device", join_processes(options).device)
    return torch.device(options.device)


def _held_out(pictures: Pictures) -> ImageStore:
    if pictures.held_out is None:
        raise ArgumentError("validation needs pictures that are held out.")
    return pictures.held_out


def _simulated(problem: ProblemPart, images: ImageStore, size: int, *, augment: bool = True) -> SimulatedProblem:
    is_grey = problem.channels == 1
    return SimulatedProblem(problem.name, images, problem.chosen_task(), size=size, augment=augment, grey=is_grey)


def _without_denoising(model: nn.Module) -> nn.Module:
    return model.denoiser if isinstance(model, Denoising) else model


def _machine(options: Options) -> str:
    device = _device(options)
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{os.cpu_count()} cores, {platform.machine()}" if device.type == "cpu" else device.type


def _rounded(values: Mapping[str, float], digits: int) -> dict[str, Any]:
    return {name: round(value, digits) for name, value in values.items()}
