"""`wellposed finetune`: a network that has learnt from the measurements in files, without the truth."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wellposed.cli._checks import check_output, checked_device
from wellposed.cli._options import Device, Output, Quiet
from wellposed.cli._screen import progress, say

if TYPE_CHECKING:
    from wellposed.training import FineTuned, Progress

__all__ = ["finetune"]

_INTERRUPTED = 130


def finetune(
    measurements: Annotated[
        list[Path],
        typer.Argument(
            help="Files that 'wellposed simulate' or save_measurements wrote: one measurement, or hundreds."
        ),
    ],
    output: Output,
    model: Annotated[str, typer.Option(help="The name of weights, or a model file, to start from.")] = "ram-small",
    noise: Annotated[
        str, typer.Option(help="What is known of the noise: known (all the files say), 'unknown level', or unknown.")
    ] = "known",
    steps: Annotated[int | None, typer.Option(min=1, help="At most; by default 40, and more for more files.")] = None,
    learning_rate: Annotated[float, typer.Option(min=0.0, help="Of Adam, at first.")] = 1e-4,
    batch: Annotated[int | None, typer.Option(min=1, help="Measurements a step; by default four or all.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same weights.")] = 0,
    max_minutes: Annotated[float | None, typer.Option(min=0.01, help="Stop after so many minutes.")] = None,
    device: Device = "cpu",
    *,
    quiet: Quiet = False,
) -> None:
    """Teach a network the measurements that it shall reconstruct, and write it to a model file.

    The losses follow from the noise and the operator, and the best step by the error in measurements that were kept
    back is written. Ctrl-C ends it with the best step so far. 'wellposed reconstruct --method FILE' uses the result.
    """
    from wellposed.models import save_model
    from wellposed.verbs.finetune import finetune as tune
    from wellposed.verbs.measured import load_together

    check_output(output, suffixes=(".safetensors",))
    for path in measurements:
        check_output(output, source=path)
    y, physics = load_together(measurements, device=checked_device(device))
    records: list[FineTuned] = []
    with _bar(quiet=quiet) as show:
        tuned = tune(
            model,
            y,
            physics,
            noise=noise,  # type: ignore[arg-type]
            steps=steps,
            learning_rate=learning_rate,
            batch=batch,
            seed=seed,
            max_minutes=max_minutes,
            callback=show,
            report=records.append,
        )
    record = records[0]
    save_model(output, tuned, facts={"finetuned": _facts(model, record)})
    say(record.why, quiet=quiet)
    best = f"{record.after:.3g} at step {record.best_step} of {record.scores[-1][0]}"
    say(f"score by {record.scheme}: {record.before:.3g} before, {best}, {record.seconds:.0f} s", quiet=quiet)
    say(
        f"{output}: {'the best step' if record.best_step else f'{model} as it was, for no step was better'}",
        quiet=quiet,
    )
    if record.reason == "interrupted":
        raise typer.Exit(_INTERRUPTED)


def _facts(model: str, record: FineTuned) -> dict[str, object]:
    """Return what the model file says of how it came about."""
    return {
        "from": model,
        "why": record.why,
        "kept_back": record.scheme,
        "scores": [list(entry) for entry in record.scores],
        "best_step": record.best_step,
    }


@contextmanager
def _bar(*, quiet: bool) -> Iterator[Callable[[Progress], None]]:
    """Yield a function that shows how far it has come, and the score, where people watch."""
    with progress("fine-tuning", quiet=quiet) as update:

        def show(state: Progress) -> None:
            loss = "" if math.isnan(state.loss) else f", loss {state.loss:.3g}"
            title = f"fine-tuning: score {state.score:.3g}, best {state.best_score:.3g}{loss}"
            update(state.step, state.steps, title)

        yield show
