"""`wellposed train`: weights from a recipe, in one leg or in several."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wellposed.cli._checks import checked_device
from wellposed.cli._options import Quiet
from wellposed.cli._screen import progress, say, show

if TYPE_CHECKING:
    from rich.table import Table

    from wellposed.training import Outcome
    from wellposed.training.recipe_pictures import Pictures

__all__ = ["train"]

_NAMED_AT_MOST = 3
_INTERRUPTED = 130
_WORDS = {
    "finished": "all steps are done",
    "time": "the minutes are used up: --resume goes on",
    "interrupted": "it was interrupted: --resume goes on",
    "early": "nothing improved any more",
}


def train(
    recipe: Annotated[Path, typer.Argument(help="A YAML file that says what to train, on what and how.")],
    data: Annotated[
        Path | None, typer.Option(help="The folder that those of the recipe are in; by default that of the recipe.")
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(
            "--run",
            "--folder",
            help="The folder that the run is kept in; by default runs/ and the recipe's name. torchrun takes --run for "
            "an option of its own: call it --folder there.",
        ),
    ] = None,
    max_minutes: Annotated[
        float | None, typer.Option(min=0.01, help="Stop after so many minutes, with a checkpoint.")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Instead of the recipe's training.steps.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="Change the recipe, as in training.batch=8; may be repeated."),
    ] = None,
    device: Annotated[str, typer.Option(help="Where to compute: auto, cpu, cuda or mps.")] = "auto",
    *,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in this folder, if it has begun.")
    ] = False,
    light: Annotated[
        bool,
        typer.Option("--light", help="Write small checkpoints too, from which a run can go on elsewhere."),
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Train a network as a recipe says, and give the PSNR of the validation before and after.

    Ctrl-C ends it with a checkpoint, a second one at once. 'torchrun' and 'accelerate launch' share the work among
    several processes.
    """
    from wellposed.cli._training_screen import training_screen
    from wellposed.training import prepare, read_recipe
    from wellposed.training.processes import join_processes

    if device != "auto":
        checked_device(device)
    chosen = read_recipe(recipe, [*(settings or []), *([] if steps is None else [f"training.steps={steps}"])])
    chosen = chosen.on_machine(device, light=light)
    folder = Path("runs") / recipe.stem if run is None else run
    quiet = quiet or not join_processes(chosen.training).is_main_process
    with progress("reading pictures", quiet=quiet) as update:
        prepared = prepare(
            chosen,
            root=data,
            folder=folder,
            resume=resume,
            progress=lambda _name, done, total: update(done, total),
        )
    for name, pictures in prepared.pictures.items():
        _say_pictures(name, pictures, quiet=quiet)
    with training_screen(chosen.training.steps, max_minutes, quiet=quiet) as screen:
        outcome = prepared.run(resume=resume, max_minutes=max_minutes, callback=screen.show)
    show(_table(outcome.before, outcome.after), quiet=quiet)
    _say_outcome(outcome, chosen.training.steps, folder, quiet=quiet)
    if outcome.reason == "interrupted":
        raise typer.Exit(_INTERRUPTED)


def _say_pictures(name: str, pictures: Pictures, *, quiet: bool) -> None:
    held_out = 0 if pictures.held_out is None else len(pictures.held_out)
    text = f"{name}: {len(pictures.training)} pictures to train on, {held_out} held out"
    if pictures.too_small:
        text += f"; {pictures.too_small} are smaller than the crops and take no part"
    say(text, quiet=quiet)
    for sentence in pictures.unusable[:_NAMED_AT_MOST]:
        say(f"left out: {sentence}", quiet=quiet)
    if len(pictures.unusable) > _NAMED_AT_MOST:
        say(f"left out: {len(pictures.unusable) - _NAMED_AT_MOST} more", quiet=quiet)


def _table(before: Mapping[str, float], after: Mapping[str, float]) -> Table:
    from rich.table import Table

    table = Table("validation, PSNR in dB", "before", "after", "gain")
    for column in table.columns[1:]:
        column.justify = "right"
    for name in after:
        table.add_row(name, *_numbers(before[name], after[name]))
    table.add_section()
    table.add_row("mean", *_numbers(_mean(before), _mean(after)), style="bold")
    return table


def _numbers(before: float, after: float) -> list[str]:
    return [f"{before:.2f}", f"{after:.2f}", f"{after - before:+.2f}"]


def _mean(values: Mapping[str, float]) -> float:
    return sum(values.values()) / len(values)


def _say_outcome(outcome: Outcome, steps: int, folder: Path, *, quiet: bool) -> None:
    say(
        f"step {outcome.step} of {steps}, {outcome.images} crops, {outcome.minutes:.1f} minutes, "
        f"{outcome.crops_per_second:.0f} crops/s: {_WORDS[outcome.reason]}",
        quiet=quiet,
    )
    say(f"{folder / 'best.safetensors'}: {outcome.best:.2f} dB on average, at step {outcome.best_step}", quiet=quiet)
