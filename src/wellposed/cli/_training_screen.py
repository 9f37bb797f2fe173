"""What is seen of a training run: a bar where people watch, now and then a line where a file does."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

if TYPE_CHECKING:
    from wellposed.training import Report

__all__ = ["TrainingScreen", "training_screen"]

_SECONDS_BETWEEN_LINES = 15.0


@final
class TrainingScreen:
    """Shows each report of a run.

    Parameters
    ----------
    bar : Progress
    steps : int
        Of the whole run.
    max_minutes : float, optional
        Of this call.
    is_watched : bool
        Whether there is a terminal.
    quiet : bool
    """

    def __init__(self, bar: Progress, steps: int, max_minutes: float | None, *, is_watched: bool, quiet: bool) -> None:
        self._bar, self._line = bar, bar.add_task("training", total=steps, facts="")
        self._max_minutes, self._is_watched, self._quiet = max_minutes, is_watched, quiet
        self._first: Report | None = None
        self._began = self._said = time.monotonic()

    def show(self, report: Report) -> None:
        """Show how far the run has come."""
        facts = self._facts(report)
        self._bar.update(self._line, completed=report.step, facts=facts)
        now = time.monotonic()
        if not self._quiet and not self._is_watched and now - self._said >= _SECONDS_BETWEEN_LINES:
            sys.stderr.write(f"step {report.step} of {report.steps}, {facts}\n")
            sys.stderr.flush()
            self._said = now
        self._first = self._first or report

    def _facts(self, report: Report) -> str:
        loss = sum(report.losses.values()) / len(report.losses)
        facts = [f"loss {loss:.4f}", f"{report.crops_per_second:.0f} crops/s"]
        if report.psnr:
            facts.append(f"{sum(report.psnr.values()) / len(report.psnr):.2f} dB")
        left = self._minutes_left(report)
        return ", ".join(facts if left is None else [*facts, f"{left:.0f} min left"])

    def _minutes_left(self, report: Report) -> float | None:
        """Return how long this call may still take, from its pace since its first report."""
        limits = []
        if self._max_minutes is not None:
            limits.append(self._max_minutes - (time.monotonic() - self._began) / 60)
        if self._first is not None and report.step > self._first.step:
            pace = (report.minutes - self._first.minutes) / (report.step - self._first.step)
            limits.append(pace * (report.steps - report.step))
        return max(min(limits), 0.0) if limits else None


@contextmanager
def training_screen(steps: int, max_minutes: float | None, *, quiet: bool) -> Iterator[TrainingScreen]:
    """Yield a screen; meanwhile, what wellposed logs is shown above it."""
    is_watched = sys.stderr.isatty()
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[facts]}"))
    handler = _Lines(console)
    logger = logging.getLogger("wellposed")
    level = logger.level
    with Progress(*columns, console=console, transient=True, disable=quiet or not is_watched) as bar:
        if not quiet:
            logger.addHandler(handler)
            logger.setLevel(logging.INFO)
        try:
            yield TrainingScreen(bar, steps, max_minutes, is_watched=is_watched, quiet=quiet)
        finally:
            logger.removeHandler(handler)
            logger.setLevel(level)


class _Lines(logging.Handler):
    """Writes what is logged, a line each."""

    def __init__(self, console: Console) -> None:
        super().__init__(logging.INFO)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        self._console.print(record.getMessage(), markup=False, highlight=False, soft_wrap=True)
